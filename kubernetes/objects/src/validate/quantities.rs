//! Rules for resource amounts.

use super::At;
use crate::field::FieldErrors;
use crate::quantity::Quantity;

/// A quantity that is not negative.
pub(super) fn amount(at: &At<'_>, errors: &mut FieldErrors) -> Option<Quantity> {
    match Quantity::from_value(at.value) {
        Ok(quantity) => {
            if quantity.is_negative() {
                at.invalid("must be greater than or equal to 0", errors);
            }
            Some(quantity)
        }
        Err(problem) => {
            at.invalid(problem, errors);
            None
        }
    }
}

/// The amount of a named resource, as containers use it.
fn container_resource(name: &str, at: &At<'_>, errors: &mut FieldErrors) -> Option<Quantity> {
    let standard = ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-");
    if !standard && !name.contains('/') {
        at.invalid("must be a standard resource type or fully qualified", errors);
    }
    let quantity = amount(at, errors)?;
    if name != "cpu" && !quantity.is_integer() && standard {
        at.invalid("must be an integer", errors);
    }
    Some(quantity)
}

/// Requests and limits of a container: each sane, no request above its limit.
pub(super) fn resources(at: &At<'_>, errors: &mut FieldErrors) {
    let mut limits = Vec::new();
    for (name, limit) in at.entries("limits") {
        if let Some(quantity) = container_resource(name, &limit, errors) {
            limits.push((name, quantity));
        }
    }
    for (name, request) in at.entries("requests") {
        let Some(quantity) = container_resource(name, &request, errors) else { continue };
        let limit = limits.iter().find(|(limited, _)| *limited == name).map(|(_, limit)| limit);
        let Some(limit) = limit else { continue };
        let overcommitable = ["cpu", "memory", "ephemeral-storage"].contains(&name);
        let requests = at.get("requests");
        if quantity > *limit {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            At::new(request.value, &requests.path()).invalid(detail, errors);
        } else if !overcommitable && quantity != *limit {
            let detail = format!("must be equal to {name} limit of {limit}");
            At::new(request.value, &requests.path()).invalid(detail, errors);
        }
    }
}
