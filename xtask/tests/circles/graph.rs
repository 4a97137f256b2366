//! Circles among the modules of one folder.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{Crate, Place};

/// Who uses whom, and one place where that is so.
type Edges = BTreeMap<(String, String), (Place, Place)>;

/// Each circle in words.
pub fn circles(of: &Crate) -> Vec<String> {
    let mut folders: BTreeMap<Place, Edges> = BTreeMap::new();
    for (from, to) in of.references() {
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // One that contains the other is no sibling.
        if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
            let edges = folders.entry(from[..common].to_vec()).or_default();
            edges
                .entry((a.clone(), b.clone()))
                .or_insert((from.clone(), to.clone()));
        }
    }
    let mut told = Vec::new();
    for (folder, edges) in folders {
        for circle in knots(&edges) {
            let within = |(a, b): &(String, String)| circle.contains(a) && circle.contains(b);
            let imports: Vec<_> = edges
                .iter()
                .filter(|(edge, _)| within(edge))
                .map(|(_, (from, to))| format!("  {} uses {}", from.join("::"), to.join("::")))
                .collect();
            let names = Vec::from_iter(circle).join(", ");
            told.push(format!(
                "{}: {names}\n{}",
                folder.join("::"),
                imports.join("\n")
            ));
        }
    }
    told
}

/// Modules that reach each other, as sets of two and more.
fn knots(edges: &Edges) -> Vec<BTreeSet<String>> {
    let names: BTreeSet<&String> = edges.keys().flat_map(|(a, b)| [a, b]).collect();
    let mut reached: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for name in &names {
        let mut seen = BTreeSet::new();
        let mut ahead = vec![*name];
        while let Some(at) = ahead.pop() {
            let next = edges
                .keys()
                .filter(|(from, _)| from == at)
                .map(|(_, to)| to);
            ahead.extend(next.filter(|to| seen.insert(*to)));
        }
        reached.insert(name, seen);
    }
    let mut knots = BTreeSet::new();
    for name in names.iter().filter(|name| reached[*name].contains(*name)) {
        let others = reached[name]
            .iter()
            .filter(|other| reached[*other].contains(*name));
        knots.insert(others.map(|name| (*name).clone()).collect());
    }
    knots.into_iter().collect()
}
