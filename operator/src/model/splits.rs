//! Every `TrafficSplit`, to be found by its name and by its root.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Deref,
};

use super::{ServiceRef, Split, SplitRef};

/// A map of splits that knows which of them may have a root.
#[derive(Debug, Default)]
pub struct Splits {
    all: BTreeMap<SplitRef, Split>,
    /// By what every spelling of a root begins with, so that the cluster's domain need not be known here.
    by_root: HashMap<ServiceRef, BTreeSet<SplitRef>>,
}

impl Splits {
    /// Adds or replaces a split.
    pub fn insert(&mut self, name: SplitRef, split: Split) {
        self.remove(&name);
        self.by_root.entry(key(&name.namespace, &split.service)).or_default().insert(name.clone());
        self.all.insert(name, split);
    }

    /// Takes a split out.
    pub fn remove(&mut self, name: &SplitRef) -> Option<Split> {
        let split = self.all.remove(name)?;
        let root = key(&name.namespace, &split.service);
        if let Some(names) = self.by_root.get_mut(&root) {
            names.remove(name);
            if names.is_empty() {
                self.by_root.remove(&root);
            }
        }
        Some(split)
    }

    /// The splits of the root's namespace whose `spec.service` begins with the root's name, by their own names. What follows it
    /// may still be of another namespace or domain.
    pub fn of_root<'a>(&'a self, root: &ServiceRef) -> impl Iterator<Item = (&'a SplitRef, &'a Split)> + use<'a> {
        self.by_root.get(root).into_iter().flatten().filter_map(|name| self.all.get_key_value(name))
    }
}

impl Deref for Splits {
    type Target = BTreeMap<SplitRef, Split>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

fn key(namespace: &str, service: &str) -> ServiceRef {
    let name = service.split_once('.').map_or(service, |(name, _)| name);
    ServiceRef { namespace: namespace.to_owned(), name: name.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> SplitRef {
        SplitRef { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    fn split(service: &str) -> Split {
        Split {
            uid: String::new(),
            generation: 1,
            created: 0,
            service: service.to_owned(),
            has_matches: false,
            backends: Vec::new(),
        }
    }

    #[test]
    fn finds_every_spelling_of_a_root_until_it_changes() {
        let mut splits = Splits::default();
        let root = ServiceRef { namespace: "shop".to_owned(), name: "web".to_owned() };
        let found = |splits: &Splits| splits.of_root(&root).map(|(name, _)| name.name.clone()).collect::<Vec<_>>();
        for (name_of_split, service) in [
            ("a", "web"),
            ("b", "web."),
            ("c", "WEB.shop"),
            ("d", "web.shop.svc.cluster.local."),
            ("e", "web-v1"),
            ("f", ""),
        ] {
            splits.insert(name(name_of_split), split(service));
        }
        assert_eq!(found(&splits), ["a", "b", "c", "d"]);
        splits.insert(name("a"), split("api"));
        splits.remove(&name("c"));
        assert_eq!(found(&splits), ["b", "d"]);
        splits.remove(&name("b"));
        splits.remove(&name("d"));
        assert!(found(&splits).is_empty() && splits.len() == 3);
    }
}
