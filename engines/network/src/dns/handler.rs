//! One query: answered from memory, or passed on.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tracing::debug;

use super::forward::Forwarder;
use super::records::{Known, Records};

/// How long clients may keep an answer, in seconds: as long as Kubernetes' own name server says.
const TTL: u32 = 5;
const MAX_UDP_PAYLOAD: u16 = 4096;

#[derive(Debug)]
pub(super) struct Handler {
    records: Arc<ArcSwap<Records>>,
    forwarder: Forwarder,
}

/// What goes back to the client.
#[derive(Debug, Default)]
struct Answer {
    code: ResponseCode,
    ours: bool,
    answers: Vec<Record>,
    soa: Option<Record>,
}

impl Handler {
    pub(super) fn new(records: Arc<ArcSwap<Records>>, forwarder: Forwarder) -> Self {
        Self { records, forwarder }
    }

    async fn answer(&self, name: &Name, kind: RecordType) -> Answer {
        let records = self.records.load_full();
        let plain = plain(name);
        if kind == RecordType::PTR
            && let Some(names) = reverse_address(&plain).and_then(|address| records.find_reverse(address))
        {
            let pointers = names.iter().filter_map(|target| Some(RData::PTR(PTR(fqdn(target)?))));
            return ours(&records, name, pointers.collect(), ResponseCode::NXDomain);
        }
        if records.owns(&plain) {
            return self.answer_own(&records, name, &plain, kind).await;
        }
        let reply = self.forwarder.ask(name.clone(), kind).await;
        Answer { code: reply.code, ours: false, answers: reply.answers, soa: reply.soa }
    }

    async fn answer_own(&self, records: &Records, name: &Name, plain: &str, kind: RecordType) -> Answer {
        let known = match kind {
            RecordType::A | RecordType::ANY => records.find_addresses(plain),
            RecordType::SRV => records.find_places(plain),
            RecordType::TXT => records.find_text(plain),
            _ => records.find_other(plain),
        };
        match known {
            Known::Addresses(mut addresses) => {
                // Clients take the first: let it be another one each time.
                let turn = usize::from(rotation()) % addresses.len().max(1);
                addresses.rotate_left(turn);
                let data = addresses.into_iter().map(|address| RData::A(A(address)));
                ours(records, name, data.collect(), ResponseCode::NoError)
            }
            Known::Places(places) => {
                let data = places
                    .iter()
                    .filter_map(|(port, target)| Some(RData::SRV(SRV::new(0, 100, *port, fqdn(target)?))));
                ours(records, name, data.collect(), ResponseCode::NoError)
            }
            Known::Text(text) => {
                let data = vec![RData::TXT(TXT::new(vec![text.to_owned()]))];
                ours(records, name, data, ResponseCode::NoError)
            }
            Known::Alias(target) => self.answer_alias(records, name, &target, kind).await,
            Known::Nothing => ours(records, name, Vec::new(), ResponseCode::NoError),
            Known::NoSuchName => ours(records, name, Vec::new(), ResponseCode::NXDomain),
        }
    }

    /// The alias, and what it leads to when somebody knows.
    async fn answer_alias(&self, records: &Records, name: &Name, target: &str, kind: RecordType) -> Answer {
        let Some(target_name) = fqdn(target) else {
            return Answer { code: ResponseCode::ServFail, ours: true, ..Answer::default() };
        };
        let alias = Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target_name.clone())));
        let mut answers = vec![alias];
        if kind != RecordType::CNAME {
            if records.owns(target) {
                if let Known::Addresses(addresses) = records.find_addresses(target)
                    && kind == RecordType::A
                {
                    let data = addresses.into_iter().map(|address| RData::A(A(address)));
                    answers.extend(data.map(|data| Record::from_rdata(target_name.clone(), TTL, data)));
                }
            } else {
                answers.extend(self.forwarder.ask(target_name, kind).await.answers);
            }
        }
        Answer { code: ResponseCode::NoError, ours: true, answers, soa: None }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        let answer = match request.request_info() {
            Ok(query) => self.answer(query.query.original().name(), query.query.query_type()).await,
            Err(_) => Answer { code: ResponseCode::FormErr, ..Answer::default() },
        };
        metadata.response_code = answer.code;
        metadata.authoritative = answer.ours;
        let mut builder = MessageResponseBuilder::from_message_request(request);
        let mut edns = Edns::new();
        if request.edns.is_some() {
            edns.set_max_payload(request.max_payload().min(MAX_UDP_PAYLOAD));
            builder.edns(&edns);
        }
        let message = builder.build(metadata, &answer.answers, [], answer.soa.as_ref(), []);
        match response.send_response(message).await {
            Ok(info) => info,
            Err(error) => {
                debug!(%error, "an answer was not sent");
                failed(request)
            }
        }
    }
}

fn failed(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    let counts = hickory_proto::op::HeaderCounts::default();
    ResponseInfo::from(hickory_proto::op::Header { metadata, counts })
}

/// An answer from our own records; `empty` is the code when there are none.
fn ours(records: &Records, name: &Name, data: Vec<RData>, empty: ResponseCode) -> Answer {
    let answers: Vec<_> = data.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)).collect();
    if answers.is_empty() {
        return Answer { code: empty, ours: true, answers, soa: soa(records.domain()) };
    }
    Answer { code: ResponseCode::NoError, ours: true, answers, soa: None }
}

/// Tells clients how long a "no" is good for.
fn soa(domain: &str) -> Option<Record> {
    let zone = fqdn(domain)?;
    let (server, mailbox) = (fqdn(&format!("ns.dns.{domain}"))?, fqdn(&format!("hostmaster.{domain}"))?);
    let soa = SOA::new(server, mailbox, 1, 7200, 1800, 86_400, TTL);
    Some(Record::from_rdata(zone, TTL, RData::SOA(soa)))
}

fn fqdn(name: &str) -> Option<Name> {
    let mut name = Name::from_str(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// `7.0.42.10.in-addr.arpa` spells `10.42.0.7`.
fn reverse_address(name: &str) -> Option<Ipv4Addr> {
    let spelled: Ipv4Addr = name.strip_suffix(".in-addr.arpa")?.parse().ok()?;
    let [a, b, c, d] = spelled.octets();
    Some(Ipv4Addr::new(d, c, b, a))
}

fn rotation() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static TURN: AtomicU16 = AtomicU16::new(0);
    TURN.fetch_add(1, Ordering::Relaxed)
}
