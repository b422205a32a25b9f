//! Rules for a pod's volumes.

use std::collections::HashSet;

use super::container::{field_ref, resource_ref};
use super::{At, names, quantities};
use crate::field::FieldErrors;

/// Fields a file from the downward API may show.
const DOWNWARD: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Checks all volumes; gives the names of all, and of those that may be block devices.
pub(super) fn all<'a>(spec: &At<'a>, errors: &mut FieldErrors) -> (HashSet<&'a str>, HashSet<&'a str>) {
    let (mut seen, mut claims) = (HashSet::new(), HashSet::new());
    for volume in spec.list("volumes") {
        let name = volume.get("name");
        if name.need(errors) {
            name.named(names::dns_label, errors);
            if !seen.insert(name.text()) {
                name.duplicate(errors);
            }
        }
        if volume.get("persistentVolumeClaim").exists() || volume.get("ephemeral").exists() {
            claims.insert(name.text());
        }
        source(&volume, errors);
    }
    (seen, claims)
}

fn source(volume: &At<'_>, errors: &mut FieldErrors) {
    let kinds: Vec<&String> =
        volume.value.as_object().into_iter().flat_map(|map| map.keys()).filter(|k| *k != "name").collect();
    for extra in kinds.iter().skip(1) {
        volume.get(extra).forbidden("may not specify more than 1 volume type", errors);
    }
    let Some(kind) = kinds.first() else {
        volume.required("must specify a volume type", errors);
        return;
    };
    let at = volume.get(kind);
    match kind.as_str() {
        "emptyDir" if at.get("sizeLimit").exists() => {
            quantities::amount(&at.get("sizeLimit"), errors);
        }
        "hostPath" => host_path(&at, errors),
        "configMap" => {
            at.get("name").need(errors);
            files(&at, errors);
        }
        "secret" => {
            at.get("secretName").need(errors);
            files(&at, errors);
        }
        "persistentVolumeClaim" => {
            at.get("claimName").need(errors);
        }
        "downwardAPI" => downward(&at, errors),
        "projected" => projected(&at, errors),
        "nfs" => {
            at.get("server").need(errors);
            if at.get("path").need(errors) && !at.get("path").text().starts_with('/') {
                at.get("path").invalid("must be an absolute path", errors);
            }
        }
        "ephemeral" => super::storage::claim_spec(&at.to(&["volumeClaimTemplate", "spec"]), errors),
        _ => {}
    }
}

const HOST_PATH_TYPES: [&str; 8] =
    ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

pub(super) fn host_path(at: &At<'_>, errors: &mut FieldErrors) {
    let path = at.get("path");
    if path.need(errors) && path.text().split('/').any(|step| step == "..") {
        path.invalid("must not contain '..'", errors);
    }
    at.get("type").one_of(&HOST_PATH_TYPES, errors);
}

fn mode(at: &At<'_>, errors: &mut FieldErrors) {
    if at.int().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        at.invalid("must be a number between 0 and 0777 (octal), both inclusive", errors);
    }
}

/// Modes and items of a ConfigMap's or Secret's files.
fn files(at: &At<'_>, errors: &mut FieldErrors) {
    mode(&at.get("defaultMode"), errors);
    for item in at.list("items") {
        item.get("key").need(errors);
        local_path(&item.get("path"), errors);
        mode(&item.get("mode"), errors);
    }
}

/// A path that stays inside the volume.
fn local_path(path: &At<'_>, errors: &mut FieldErrors) {
    if !path.need(errors) {
        return;
    }
    if path.text().starts_with('/') {
        path.invalid("must be a relative path", errors);
    } else if path.text().split('/').any(|step| step == "..") {
        path.invalid("must not contain '..'", errors);
    } else if path.text().starts_with("..") {
        path.invalid("must not start with '..'", errors);
    }
}

fn downward(at: &At<'_>, errors: &mut FieldErrors) {
    mode(&at.get("defaultMode"), errors);
    for item in at.list("items") {
        local_path(&item.get("path"), errors);
        mode(&item.get("mode"), errors);
        match (item.get("fieldRef").exists(), item.get("resourceFieldRef").exists()) {
            (true, true) => {
                item.invalid("fieldRef and resourceFieldRef can not be specified simultaneously", errors)
            }
            (true, false) => field_ref(&item.get("fieldRef"), &DOWNWARD, errors),
            (false, true) => {
                item.to(&["resourceFieldRef", "containerName"]).need(errors);
                resource_ref(&item.get("resourceFieldRef"), errors);
            }
            (false, false) => item.required("one of fieldRef and resourceFieldRef is required", errors),
        }
    }
}

fn projected(at: &At<'_>, errors: &mut FieldErrors) {
    mode(&at.get("defaultMode"), errors);
    for source in at.list("sources") {
        let kinds: Vec<&String> = source.value.as_object().into_iter().flat_map(|map| map.keys()).collect();
        for extra in kinds.iter().skip(1) {
            source.get(extra).forbidden("may not specify more than 1 volume type per source", errors);
        }
        for kind in ["configMap", "secret"] {
            if source.get(kind).exists() {
                source.get(kind).get("name").need(errors);
                files(&source.get(kind), errors);
            }
        }
        if source.get("downwardAPI").exists() {
            downward(&source.get("downwardAPI"), errors);
        }
        let token = source.get("serviceAccountToken");
        if token.exists() {
            local_path(&token.get("path"), errors);
            if token.get("expirationSeconds").int().is_some_and(|seconds| seconds < 600) {
                token
                    .get("expirationSeconds")
                    .invalid("may not specify a duration less than 10 minutes", errors);
            }
        }
    }
}
