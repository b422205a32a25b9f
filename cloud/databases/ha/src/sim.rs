//! A simulated machine: nodes, workloads, engines that replicate, a client that writes, and a daemon that
//! may end after any call. Everything the tests demand holds on it for every such end.

mod machine;
mod scenarios;

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::decide::{Step, decide};
use crate::labels;
use crate::perform::{Error, Hands, Learnt, News, perform};
use crate::seen::{Observed, Role, Told};
use crate::topology::Topology;
use machine::Machine;

/// Where the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    /// Before the call of this number has an effect, or after.
    Before(usize),
    After(usize),
}

/// The machine behind the calls.
struct World {
    machine: Mutex<Machine>,
    calls: Mutex<usize>,
    crash: Crash,
}

impl World {
    fn call<T>(&self, effect: impl FnOnce(&mut Machine) -> Result<T, Error>) -> Result<T, Error> {
        let number = {
            let mut calls = self.calls.lock();
            *calls += 1;
            *calls
        };
        if self.crash == Crash::Before(number) {
            return Err(Error::Crash);
        }
        let done = effect(&mut self.machine.lock());
        if self.crash == Crash::After(number) { Err(Error::Crash) } else { done }
    }
}

#[async_trait]
impl Hands for World {
    async fn write(&self, topology: &Topology) -> Result<(), Error> {
        self.call(|machine| machine.write(topology))
    }

    async fn hold(&self, pod: &str, uid: &str) -> Result<(), Error> {
        self.call(|machine| {
            machine.hold(pod, uid);
            Ok(())
        })
    }

    async fn delete(&self, pod: &str, uid: &str, grace: u32) -> Result<(), Error> {
        self.call(|machine| {
            machine.delete(pod, uid, i64::from(grace));
            Ok(())
        })
    }

    async fn release(&self, pod: &str, uid: &str) -> Result<(), Error> {
        self.call(|machine| {
            machine.release(pod, uid);
            Ok(())
        })
    }

    async fn script(&self, pod: &str, command: &[&str], _: Duration) -> Result<String, Error> {
        let line = (*command.last().unwrap()).to_owned();
        self.call(|machine| machine.script(pod, &line))
    }

    async fn switched(&self, error: Option<&str>) -> Result<(), Error> {
        self.call(|machine| {
            machine.switchover = None;
            machine.refused = error.map(str::to_owned);
            Ok(())
        })
    }

    async fn tell(&self, news: News) {
        self.machine.lock().news.push(news);
    }

    fn now(&self) -> i64 {
        self.machine.lock().millis()
    }
}

/// What the daemon remembers between two steps; gone when it ends.
#[derive(Default)]
struct Memory {
    told: Option<(String, Told)>,
    fenced_at: Option<i64>,
    led_at: Option<i64>,
    switchover_at: Option<i64>,
}

/// The daemon, as [`crate::keeper`] is one for the real API.
struct Daemon {
    memory: Memory,
    /// Ticks until it runs again.
    asleep: u32,
}

impl Daemon {
    fn look(&mut self, world: &World) -> Observed {
        let machine = world.machine.lock();
        let now = machine.millis();
        let mut seen = machine.observe();
        let primary = seen.topology.as_ref().map(|topology| topology.primary.clone()).unwrap_or_default();
        let leads = seen.pods.get(&primary).is_some_and(|pod| pod.is(Role::Primary));
        if leads || self.memory.led_at.is_none() {
            self.memory.led_at = Some(now);
        }
        let since = |at: Option<i64>| Duration::from_millis(at.map_or(0, |at| (now - at).unsigned_abs()));
        seen.down = since(self.memory.led_at);
        let takeover = seen.topology.as_ref().and_then(|topology| topology.takeover.as_ref());
        let dead = takeover.is_some_and(|takeover| !machine.alive(takeover));
        self.memory.fenced_at = dead.then(|| self.memory.fenced_at.unwrap_or(now));
        seen.fenced = since(self.memory.fenced_at);
        self.memory.switchover_at =
            seen.switchover.as_ref().map(|_| self.memory.switchover_at.unwrap_or(now));
        seen.switchover_for = since(self.memory.switchover_at);
        let told = self.memory.told.as_ref().filter(|(whom, _)| *whom == machine.incarnation(&primary));
        seen.told = told.map(|(_, told)| told.clone());
        seen
    }

    /// Does all there is to do now. `false` if it ended on the way.
    fn work(&mut self, world: &World) -> bool {
        let mut last = Step::Wait;
        for _ in 0..20 {
            let seen = self.look(world);
            for (name, label) in labels::changes(&seen) {
                let labelled = world.call(|machine| {
                    machine.label(&name, label);
                    Ok(())
                });
                if labelled.is_err() {
                    return false;
                }
            }
            let step = decide(&seen);
            if step == Step::Wait || step == last {
                return true;
            }
            match futures::executor::block_on(perform(&step, &seen, world)) {
                Ok(learnt) => self.learn(world, &seen, learnt),
                Err(Error::Crash) => return false,
                Err(_) => return true,
            }
            last = step;
        }
        panic!("the daemon does not come to rest; it last did {last:?}");
    }

    fn learn(&mut self, world: &World, seen: &Observed, learnt: Learnt) {
        let mut machine = world.machine.lock();
        for (pod, state) in learnt.roles {
            machine.heard(&pod, state);
        }
        if let (Some(told), Some(topology)) = (learnt.told, &seen.topology) {
            self.memory.told = Some((machine.incarnation(&topology.primary), told));
        }
    }
}

/// A machine and what happens to it.
struct Run {
    machine: Machine,
    crash: Crash,
}

impl Run {
    /// Lets the cluster come up, has `fault` happen, and gives it time. Returns the machine and how many
    /// calls the daemon made after the fault.
    fn play(self, fault: impl FnOnce(&mut Machine)) -> (Machine, usize) {
        self.run(fault, Machine::check_always)
    }

    /// The same where the fault itself breaks what always holds: only the end counts.
    fn play_unchecked(self, fault: impl FnOnce(&mut Machine)) -> (Machine, usize) {
        self.run(fault, |_| {})
    }

    fn run(self, fault: impl FnOnce(&mut Machine), always: fn(&Machine)) -> (Machine, usize) {
        let world = World { machine: Mutex::new(self.machine), calls: Mutex::default(), crash: Crash::Never };
        let mut daemon = Daemon { memory: Memory::default(), asleep: 0 };
        ticks(&world, &mut daemon, 150, Machine::check_always);
        world.machine.lock().check_settled("before the fault");
        let world = World { calls: Mutex::default(), crash: self.crash, ..world };
        fault(&mut world.machine.lock());
        ticks(&world, &mut daemon, 450, always);
        (world.machine.into_inner(), world.calls.into_inner())
    }
}

fn ticks(world: &World, daemon: &mut Daemon, number: u32, always: fn(&Machine)) {
    for _ in 0..number {
        world.machine.lock().tick();
        if daemon.asleep > 0 {
            daemon.asleep -= 1;
            continue;
        }
        if !daemon.work(world) {
            *daemon = Daemon { memory: Memory::default(), asleep: 5 };
            world.machine.lock().forget_answers();
        }
        always(&world.machine.lock());
    }
}

/// Plays a fault without a crash, then with one before and after each call that was made. Where it ends is
/// checked without a crash; while the daemon is away a primary may come back by itself.
fn everywhere(make: impl Fn() -> Machine, fault: impl Fn(&mut Machine), check: impl Fn(&Machine)) {
    let play = |crash| {
        let (machine, calls) = Run { machine: make(), crash }.play(&fault);
        machine.check_settled(&format!("{crash:?}"));
        if crash == Crash::Never {
            check(&machine);
        }
        calls
    };
    let calls = play(Crash::Never);
    assert!(calls >= 3, "the daemon had something to do");
    for number in 1..=calls {
        play(Crash::Before(number));
        play(Crash::After(number));
    }
}
