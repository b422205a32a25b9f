//! Request bodies in Kubernetes's protobuf encoding, which Go clients prefer, turned into JSON. Answers
//! are JSON always; those clients take it.
//!
//! `fields.txt` has one line per message: `name number:field:type…`. Types are `s`tring, b`y`tes,
//! `i`nteger, `b`ool, `d`ouble or a message; `*` means repeated, `%` a map from strings, `?` a field whose
//! zero differs from its absence. A field named `.` is part of its parent. The numbers are those of
//! Kubernetes's published `generated.proto` files.

mod wire;

use std::collections::HashMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use wire::{Item, Items};

/// How the encoding is named.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";
/// Schemas nest; nothing else does this deeply.
const DEPTH: usize = 64;

/// The body is not what it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body is no Kubernetes protobuf")]
    Envelope,
    #[error("the protobuf is cut off or malformed")]
    Malformed,
    #[error("the protobuf nests too deeply")]
    Depth,
    #[error("this kind is not known in protobuf; send it as JSON")]
    Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    One,
    Pointer,
    List,
    Map,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    many: Many,
    kind: &'static str,
}

type Message = HashMap<u32, Field>;

fn messages() -> &'static HashMap<&'static str, Message> {
    static MESSAGES: OnceLock<HashMap<&'static str, Message>> = OnceLock::new();
    MESSAGES.get_or_init(|| include_str!("fields.txt").lines().filter_map(message).collect())
}

fn message(line: &'static str) -> Option<(&'static str, Message)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let fields = words.filter_map(|word| {
        let (number, rest) = word.split_once(':')?;
        let (name, kind) = rest.rsplit_once(':')?;
        let (many, kind) = match kind.split_at_checked(1)? {
            ("?", kind) => (Many::Pointer, kind),
            ("*", kind) => (Many::List, kind),
            ("%", kind) => (Many::Map, kind),
            _ => (Many::One, kind),
        };
        Some((number.parse().ok()?, Field { name, many, kind }))
    });
    Some((name, fields.collect()))
}

/// The object in an enveloped body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Error> {
    let unknown = body.strip_prefix(MAGIC).ok_or(Error::Envelope)?;
    let (mut version, mut kind, mut raw, mut encoding) =
        (String::new(), String::new(), &[][..], String::new());
    for item in Items::new(unknown) {
        match item? {
            (1, Item::Bytes(meta)) => {
                for item in Items::new(meta) {
                    match item? {
                        (1, Item::Bytes(text)) => version = string(text)?,
                        (2, Item::Bytes(text)) => kind = string(text)?,
                        _ => {}
                    }
                }
            }
            (2, Item::Bytes(bytes)) => raw = bytes,
            (4, Item::Bytes(text)) => encoding = string(text)?,
            _ => {}
        }
    }
    if encoding == "application/json" {
        return serde_json::from_slice(raw).map_err(|_| Error::Malformed);
    }
    let name = message_name(&version, &kind);
    let mut object = Map::new();
    read(messages().get_key_value(name.as_str()).ok_or(Error::Kind)?.1, raw, &mut object, DEPTH)?;
    object.insert("apiVersion".into(), version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

/// Groups are known here by their first word: `rbac.authorization.k8s.io/v1` is `rbac.v1`.
fn message_name(version: &str, kind: &str) -> String {
    if kind == "DeleteOptions" {
        return "meta.DeleteOptions".to_owned();
    }
    match version.split_once('/') {
        Some((group, version)) => format!("{}.{version}.{kind}", group.split('.').next().unwrap_or(group)),
        None => format!("core.{version}.{kind}"),
    }
}

fn string(bytes: &[u8]) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::Malformed)
}

fn read(message: &Message, bytes: &[u8], object: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
    let depth = depth.checked_sub(1).ok_or(Error::Depth)?;
    for item in Items::new(bytes) {
        let (number, item) = item?;
        let Some(field) = message.get(&number) else { continue };
        match field.many {
            Many::List => {
                let value = value(field.kind, item, depth)?;
                push(object, field.name, value);
            }
            Many::Map => {
                let (key, value) = entry(field.kind, item, depth)?;
                let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, value);
                }
            }
            Many::One if field.name == "." => {
                let inner = messages().get(field.kind).ok_or(Error::Kind)?;
                read(inner, item.bytes()?, object, depth)?;
            }
            Many::One | Many::Pointer => {
                let value = value(field.kind, item, depth)?;
                if !value.is_null() && (field.many == Many::Pointer || !zero(&value)) {
                    object.insert(field.name.into(), value);
                }
            }
        }
    }
    Ok(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

/// What Go writes for a field that is not set.
fn zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(object) => object.is_empty(),
        Value::Array(_) | Value::Bool(true) => false,
    }
}

fn entry(kind: &'static str, item: Item<'_>, depth: usize) -> Result<(String, Value), Error> {
    let (mut key, mut found) = (String::new(), None);
    for item in Items::new(item.bytes()?) {
        match item? {
            (1, Item::Bytes(text)) => key = string(text)?,
            (2, item) => found = Some(value(kind, item, depth)?),
            _ => {}
        }
    }
    let found = match found {
        Some(found) => found,
        None => value(kind, Item::Bytes(&[]), depth)?,
    };
    Ok((key, found))
}

fn value(kind: &'static str, item: Item<'_>, depth: usize) -> Result<Value, Error> {
    Ok(match kind {
        "s" => string(item.bytes()?)?.into(),
        "y" => BASE64.encode(item.bytes()?).into(),
        "i" => item.integer()?.into(),
        "b" => (item.integer()? != 0).into(),
        "d" => number(item.double()?),
        _ => match special(kind, item, depth)? {
            Some(value) => value,
            None => {
                let message = messages().get(kind).ok_or(Error::Kind)?;
                let mut object = Map::new();
                read(message, item.bytes()?, &mut object, depth)?;
                Value::Object(object)
            }
        },
    })
}

/// Whole numbers are written as such, as Go's JSON does.
fn number(double: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only taken when nothing is cut off")]
    let whole = double as i64;
    #[expect(clippy::cast_precision_loss, reason = "this comparison finds out")]
    if whole as f64 == double { whole.into() } else { double.into() }
}

/// Messages that are something else in JSON.
fn special(kind: &'static str, item: Item<'_>, depth: usize) -> Result<Option<Value>, Error> {
    let bytes = item.bytes()?;
    let field = |wanted: u32| {
        let mut found = None;
        for item in Items::new(bytes) {
            let (number, item) = item?;
            if number == wanted {
                found = Some(item);
            }
        }
        Ok::<_, Error>(found)
    };
    let integer = |wanted: u32| Ok::<_, Error>(field(wanted)?.map(Item::integer).transpose()?.unwrap_or(0));
    Ok(Some(match kind {
        "meta.Time" | "meta.MicroTime" if bytes.is_empty() => Value::Null,
        "meta.Time" => time(integer(1)?, 0),
        "meta.MicroTime" => time(integer(1)?, integer(2)?),
        "meta.Duration" => format!("{}ns", integer(1)?).into(),
        "resource.Quantity" => field(1)?.map(Item::bytes).transpose()?.map(string).transpose()?.into(),
        "intstr.IntOrString" if integer(1)? == 0 => integer(2)?.into(),
        "intstr.IntOrString" => field(3)?.map(Item::bytes).transpose()?.map(string).transpose()?.into(),
        "runtime.RawExtension" | "meta.FieldsV1" | "apiextensions.v1.JSON" => match field(1)? {
            Some(raw) => serde_json::from_slice(raw.bytes()?).map_err(|_| Error::Malformed)?,
            None => Value::Null,
        },
        "meta.Verbs"
        | "authentication.v1.ExtraValue"
        | "authorization.v1.ExtraValue"
        | "certificates.v1.ExtraValue" => list("s", bytes, 1, depth)?,
        "apiextensions.v1.JSONSchemaPropsOrArray" | "apiextensions.v1.JSONSchemaPropsOrStringArray" => {
            let many = if kind.ends_with("OrStringArray") { "s" } else { SCHEMA };
            match field(1)? {
                Some(item) => value(SCHEMA, item, depth.checked_sub(1).ok_or(Error::Depth)?)?,
                None => list(many, bytes, 2, depth)?,
            }
        }
        "apiextensions.v1.JSONSchemaPropsOrBool" => match field(2)? {
            Some(item) => value(SCHEMA, item, depth.checked_sub(1).ok_or(Error::Depth)?)?,
            None => (integer(1)? != 0).into(),
        },
        _ => return Ok(None),
    }))
}

const SCHEMA: &str = "apiextensions.v1.JSONSchemaProps";

fn list(kind: &'static str, bytes: &[u8], wanted: u32, depth: usize) -> Result<Value, Error> {
    let depth = depth.checked_sub(1).ok_or(Error::Depth)?;
    let mut found = Vec::new();
    for item in Items::new(bytes) {
        let (number, item) = item?;
        if number == wanted {
            found.push(value(kind, item, depth)?);
        }
    }
    Ok(Value::Array(found))
}

fn time(seconds: i64, nanos: i64) -> Value {
    if nanos == 0 {
        return crate::time::format(seconds).into();
    }
    let nanos = i32::try_from(nanos).unwrap_or(0);
    let at = jiff::Timestamp::new(seconds, nanos).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).expect("short")];
        out.extend_from_slice(content);
        out
    }

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn reads_a_pod() {
        let volume = [field(1, b"v"), field(2, &field(2, &[]))].concat();
        let container = [field(1, b"main"), field(2, b"nginx"), field(14, b"")].concat();
        let spec = [field(1, &volume), field(2, &container), vec![4 << 3, 30]].concat();
        let label = [field(1, b"app"), field(2, b"web")].concat();
        let meta = [field(1, b"web"), field(8, &[]), field(11, &label)].concat();
        let body = envelope("v1", "Pod", &[field(1, &meta), field(2, &spec)].concat());
        assert_eq!(
            decode(&body),
            Ok(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "web", "labels": { "app": "web" } },
                "spec": {
                    "volumes": [{ "name": "v", "emptyDir": {} }],
                    "containers": [{ "name": "main", "image": "nginx" }],
                    "terminationGracePeriodSeconds": 30,
                },
            }))
        );
    }

    #[test]
    fn refuses_what_is_cut_off() {
        let body = envelope("v1", "Pod", &field(1, &field(1, b"web")));
        // Between two fields nothing shows that something is missing.
        let between = body.len() - field(2, &field(1, &field(1, b"web"))).len();
        for end in (MAGIC.len() + 1..body.len()).filter(|end| *end != between) {
            let outcome = decode(&body[..end]);
            assert!(matches!(outcome, Err(Error::Malformed | Error::Kind)), "{end}: {outcome:?}");
        }
        assert_eq!(decode(b"{}"), Err(Error::Envelope));
        assert_eq!(decode(&envelope("x/v1", "Pod", &[])), Err(Error::Kind));
    }

    #[test]
    fn knows_the_built_in_kinds() {
        for resource in sealos_objects::catalogue::builtin() {
            let name = message_name(&resource.api_version(), &resource.kind);
            let known = messages().contains_key(name.as_str());
            assert!(known || resource.kind == "APIService", "{name}");
        }
    }
}
