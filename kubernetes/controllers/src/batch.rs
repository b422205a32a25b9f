//! Many writes at once, carefully: a few first, more when they succeed.

use futures::{StreamExt, stream};

use crate::kind::Error;

const FIRST_BATCH: usize = 8;
const LARGEST_BATCH: usize = 64;

/// Runs `write` for each item in growing batches; stops after the first batch with an error.
/// Gives the number of successes with the first error.
pub(crate) async fn in_batches<T, F, Fut>(items: Vec<T>, write: F) -> (usize, Option<Error>)
where
    F: Fn(T) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let mut done = 0;
    let mut size = FIRST_BATCH;
    let mut items = items.into_iter();
    loop {
        let batch: Vec<T> = items.by_ref().take(size).collect();
        if batch.is_empty() {
            return (done, None);
        }
        let results: Vec<_> = stream::iter(batch).map(&write).buffer_unordered(size).collect().await;
        let mut failure = None;
        for result in results {
            match result {
                Ok(()) => done += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if failure.is_some() {
            return (done, failure);
        }
        size = (size * 2).min(LARGEST_BATCH);
    }
}
