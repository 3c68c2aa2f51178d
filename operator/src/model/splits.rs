//! Every `TrafficSplit`, to be found by its name and by its root.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    ops::Deref,
};

use super::{GroupRef, ServiceRef, Split, SplitRef};

/// A map of splits that knows which of them may have a root, and which name a route group.
#[derive(Debug, Default)]
pub struct Splits {
    all: BTreeMap<SplitRef, Split>,
    /// By what every spelling of a root begins with, so that the cluster's domain need not be known here.
    by_root: HashMap<ServiceRef, BTreeSet<SplitRef>>,
    by_group: HashMap<GroupRef, BTreeSet<SplitRef>>,
}

impl Splits {
    /// Adds or replaces a split.
    pub fn insert(&mut self, name: SplitRef, split: Split) {
        self.remove(&name);
        self.by_root.entry(key(&name.namespace, &split.service)).or_default().insert(name.clone());
        for group in groups(&name, &split) {
            self.by_group.entry(group).or_default().insert(name.clone());
        }
        self.all.insert(name, split);
    }

    /// Takes a split out.
    pub fn remove(&mut self, name: &SplitRef) -> Option<Split> {
        let split = self.all.remove(name)?;
        leave(&mut self.by_root, &key(&name.namespace, &split.service), name);
        for group in groups(name, &split) {
            leave(&mut self.by_group, &group, name);
        }
        Some(split)
    }

    /// The splits of the root's namespace whose `spec.service` begins with the root's name, by their own names. What follows it
    /// may still be of another namespace or domain.
    pub fn of_root<'a>(&'a self, root: &ServiceRef) -> impl Iterator<Item = (&'a SplitRef, &'a Split)> + use<'a> {
        self.by_root.get(root).into_iter().flatten().filter_map(|name| self.all.get_key_value(name))
    }

    /// The splits whose `spec.matches` names a route group, by their own names.
    pub fn of_group<'a>(&'a self, group: &GroupRef) -> impl Iterator<Item = (&'a SplitRef, &'a Split)> + use<'a> {
        self.by_group.get(group).into_iter().flatten().filter_map(|name| self.all.get_key_value(name))
    }
}

impl Deref for Splits {
    type Target = BTreeMap<SplitRef, Split>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

fn groups(name: &SplitRef, split: &Split) -> impl Iterator<Item = GroupRef> {
    split.matches.iter().map(|group| GroupRef { namespace: name.namespace.clone(), name: group.clone() })
}

fn leave<K: Hash + Eq>(index: &mut HashMap<K, BTreeSet<SplitRef>>, key: &K, name: &SplitRef) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
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
            matches: Vec::new(),
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

    #[test]
    fn finds_who_names_a_group_until_nobody_does() {
        let mut splits = Splits::default();
        let group = GroupRef { namespace: "shop".to_owned(), name: "insiders".to_owned() };
        let naming = |groups: &[&str]| Split {
            matches: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..split("web")
        };
        splits.insert(name("a"), naming(&["insiders", "testers"]));
        splits.insert(name("b"), naming(&[]));
        assert_eq!(splits.of_group(&group).map(|(name, _)| &*name.name).collect::<Vec<_>>(), ["a"]);
        splits.insert(name("a"), naming(&["testers"]));
        assert_eq!(splits.of_group(&group).count(), 0);
        splits.remove(&name("a"));
        assert!(splits.by_group.is_empty(), "nothing is kept");
    }
}
