//! Few cases in which every two values of two dimensions meet: most faults need no more than two things
//! to come together, and all by all would be millions.

use std::collections::BTreeSet;

/// Two values that are to meet: dimension and value, twice.
type Pair = [(usize, usize); 2];

pub struct Cover {
    pub cases: Vec<Vec<usize>>,
    /// After each case, how many pairs have met.
    pub met: Vec<usize>,
    pub pairs: usize,
}

/// Cases that cover all pairs that are possible, those with the most new ones first. `sizes` says how many
/// values each dimension has; the first value of each is the ordinary one. `apart` names two dimensions
/// that need not meet.
pub fn cover(sizes: &[usize], apart: [usize; 2], is_possible: &dyn Fn(&[usize]) -> bool) -> Cover {
    let mut left = BTreeSet::new();
    for a in 0..sizes.len() {
        for b in a + 1..sizes.len() {
            for (x, y) in (0..sizes[a]).flat_map(|x| (0..sizes[b]).map(move |y| (x, y))) {
                let pair = [(a, x), (b, y)];
                if [a, b] != apart && is_possible(&plain(sizes.len(), pair)) {
                    left.insert(pair);
                }
            }
        }
    }
    let pairs = left.len();
    let (mut cases, mut met) = (Vec::new(), Vec::new());
    while let Some(first) = left.first().copied() {
        // Of some, each built around another pair, the one in which most meets for the first time.
        let step = (left.len() / 24).max(1);
        let best = left
            .iter()
            .step_by(step)
            .map(|pair| grow(sizes, *pair, &left, is_possible))
            .max_by_key(|case| new_in(case, &left))
            .unwrap_or_else(|| plain(sizes.len(), first));
        left.retain(|[(a, x), (b, y)]| best[*a] != *x || best[*b] != *y);
        cases.push(best);
        met.push(pairs - left.len());
    }
    Cover { cases, met, pairs }
}

/// All ordinary but for that pair.
fn plain(dimensions: usize, pair: Pair) -> Vec<usize> {
    let mut case = vec![0; dimensions];
    for (dimension, value) in pair {
        case[dimension] = value;
    }
    case
}

fn new_in(case: &[usize], left: &BTreeSet<Pair>) -> usize {
    let mut new = 0;
    for a in 0..case.len() {
        for b in a + 1..case.len() {
            new += usize::from(left.contains(&[(a, case[a]), (b, case[b])]));
        }
    }
    new
}

/// The pair, and in every other dimension the value with which most is new.
fn grow(
    sizes: &[usize],
    pair: Pair,
    left: &BTreeSet<Pair>,
    is_possible: &dyn Fn(&[usize]) -> bool,
) -> Vec<usize> {
    let mut case = plain(sizes.len(), pair);
    for dimension in 0..sizes.len() {
        if pair.iter().any(|(own, _)| *own == dimension) {
            continue;
        }
        let options = (0..sizes[dimension]).filter_map(|value| {
            let mut option = case.clone();
            option[dimension] = value;
            is_possible(&option).then_some(option)
        });
        // The first of equals, so that what is ordinary stays so.
        case = options.fold(case.clone(), |best, option| {
            match new_in(&option, left) > new_in(&best, left) {
                true => option,
                false => best,
            }
        });
    }
    case
}

#[test]
fn all_pairs_meet_in_few_cases_and_nothing_impossible_is_tried() {
    let sizes = [5, 4, 3, 2];
    let is_possible = |case: &[usize]| !(case[0] == 4 && case[1] == 3);
    let found = cover(&sizes, [2, 3], &is_possible);
    // 5*4-1 + 5*3 + 5*2 + 4*3 + 4*2
    assert_eq!(found.pairs, 64);
    assert_eq!(found.met.last(), Some(&64));
    assert!(found.cases.iter().all(|case| is_possible(case)));
    assert!(found.cases.len() < 30, "{}", found.cases.len());
    assert!(found.met[0] >= 5);
}
