//! Images being found. One that takes minutes to build keeps only those waiting that need it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealos_db_engines::images::{Candidate, ImageSource, Resolved};
use tokio::sync::{Mutex, watch};

/// An answer is asked for again after this time: images come and go.
const FRESH: Duration = Duration::from_secs(30);
/// One that is there is found within this time, so that nobody has to come back for it.
const AT_ONCE: Duration = Duration::from_millis(800);

type Answer = Result<Resolved, String>;

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there.
    Ready(Resolved),
    /// It is being fetched or built.
    Pending,
    /// It cannot be had.
    Failed(String),
}

struct Search {
    began: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

/// Finds images, each once at a time.
pub(crate) struct Images {
    source: Arc<dyn ImageSource>,
    searches: Mutex<HashMap<String, Search>>,
}

impl Images {
    pub(crate) fn new(source: Arc<dyn ImageSource>) -> Self {
        Self { source, searches: Mutex::default() }
    }

    /// What is known now; a search begins if there is none.
    pub(crate) async fn find(&self, candidates: Vec<Candidate>) -> Found {
        let mut answer = self.search(candidates).await;
        // A search that ends without an answer was torn down with the process.
        let waiting = tokio::time::timeout(AT_ONCE, answer.wait_for(Option::is_some)).await;
        drop(waiting);
        let answer = answer.borrow().clone();
        match answer {
            None => Found::Pending,
            Some(Ok(resolved)) => Found::Ready(resolved),
            Some(Err(why)) => Found::Failed(why),
        }
    }

    async fn search(&self, candidates: Vec<Candidate>) -> watch::Receiver<Option<Answer>> {
        let key = format!("{candidates:?}");
        let mut searches = self.searches.lock().await;
        if let Some(search) = searches.get(&key) {
            let under_way = search.answer.borrow().is_none() && search.answer.has_changed().is_ok();
            if under_way || search.began.elapsed() < FRESH {
                return search.answer.clone();
            }
        }
        let (tell, answer) = watch::channel(None);
        let source = self.source.clone();
        tokio::spawn(async move {
            let found = source.resolve(&candidates).await.map_err(|error| error.to_string());
            tell.send_replace(Some(found));
            // The answer stays readable for as long as somebody may ask for it.
            tell.closed().await;
        });
        searches.insert(key, Search { began: Instant::now(), answer: answer.clone() });
        answer
    }
}
