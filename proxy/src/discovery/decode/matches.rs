//! Matches in use, each compiled once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use weft_policy::http::{Conditions, InvalidMatch, Match};

/// What is in use somewhere, by what it was made of. An update repeats what did not change, and a new endpoint must not cost what
/// it takes to compile every pattern: half a millisecond for each match.
static IN_USE: Mutex<BTreeMap<Conditions, Weak<Match>>> = Mutex::new(BTreeMap::new());

/// The match of these conditions. Only the stream of updates comes here; requests have their matches already.
pub(super) fn compiled(conditions: Conditions) -> Result<Arc<Match>, InvalidMatch> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = in_use.get(&conditions).and_then(Weak::upgrade) {
        return Ok(known);
    }
    let compiled = Arc::new(Match::new(&conditions)?);
    in_use.retain(|_, one| one.strong_count() > 0);
    in_use.insert(conditions, Arc::downgrade(&compiled));
    Ok(compiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_path(regex: &str) -> Conditions {
        Conditions { path_regex: Some(regex.to_owned()), ..Conditions::default() }
    }

    #[test]
    fn what_is_in_use_is_not_compiled_again_and_what_is_not_is_forgotten() {
        let first = compiled(on_path("/in-use")).unwrap();
        assert!(Arc::ptr_eq(&first, &compiled(on_path("/in-use")).unwrap()));
        let other = compiled(on_path("/in-use/other")).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        drop(first);
        let _next = compiled(on_path("/in-use/next")).unwrap();
        let known = IN_USE.lock().unwrap();
        assert!(!known.contains_key(&on_path("/in-use")) && known.contains_key(&on_path("/in-use/other")));
    }
}
