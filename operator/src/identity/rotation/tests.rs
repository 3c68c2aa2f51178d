//! Tables of the ways from one issuer to another.

use super::*;

const LIFE: Duration = Duration::from_secs(100);
/// What the tables count with.
const SETTLE: Duration = Duration::from_secs(6);
/// `life::skew(LIFE)`.
const SKEW: i64 = 10;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The issuer `name`, whose root is named by the first letter: `a1` and `a2` have the same.
fn offer(name: &str) -> Offer {
    let root = name.as_bytes()[..1].to_vec();
    Offer { link: Link { issuer: fingerprint(name.as_bytes()), root: fingerprint(&root) }, root }
}

/// What the world does at a second, and what has to follow.
struct Turn {
    second: i64,
    offer: Option<&'static str>,
    signs: bool,
    followed: bool,
    step: &'static str,
    active: &'static str,
    roots: &'static str,
}

fn turn(
    second: i64,
    offer: &'static str,
    followed: bool,
    step: &'static str,
    active: &'static str,
    roots: &'static str,
) -> Turn {
    Turn { second, offer: Some(offer), signs: true, followed, step, active, roots }
}

fn kind(step: Option<Step>) -> &'static str {
    match step {
        None => "",
        Some(Step::Introduced(_)) => "introduced",
        Some(Step::Withdrawn(_)) => "withdrawn",
        Some(Step::Switched { forced: false, .. }) => "switched",
        Some(Step::Switched { forced: true, .. }) => "forced",
        Some(Step::Retired(_)) => "retired",
    }
}

fn roots(state: &State) -> String {
    state.roots.iter().map(|root| char::from(root.certificate[0])).collect()
}

#[test]
fn goes_from_issuer_to_issuer() {
    let gone = 6 + 100 + SKEW;
    let table: Vec<(&str, Vec<Turn>)> = vec![
        ("nothing to do", vec![turn(0, "a", true, "", "a", "a"), turn(1_000_000, "a", true, "", "a", "a")]),
        (
            "a new root",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(5, "b", true, "", "a", "ab"),
                turn(6, "b", false, "", "a", "ab"),
                turn(6, "b", true, "switched", "b", "ab"),
                turn(gone - 1, "b", true, "", "b", "ab"),
                turn(gone, "b", false, "", "b", "ab"),
                turn(gone, "b", true, "retired", "b", "b"),
                turn(gone, "b", true, "", "b", "b"),
            ],
        ),
        (
            "a new issuer under the same root",
            vec![
                turn(0, "a2", true, "introduced", "a", "a"),
                turn(6, "a2", true, "switched", "a2", "a"),
                turn(1_000, "a2", true, "", "a2", "a"),
            ],
        ),
        (
            "a sidecar that does not answer holds it up, however long",
            vec![turn(0, "b", true, "introduced", "a", "ab"), turn(1_000_000, "b", false, "", "a", "ab")],
        ),
        (
            "back before it began to sign",
            vec![turn(0, "b", true, "introduced", "a", "ab"), turn(1, "a", false, "withdrawn", "a", "a")],
        ),
        (
            "back after it began to sign",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(6, "b", true, "switched", "b", "ab"),
                turn(10, "a", false, "introduced", "b", "ab"),
                turn(16, "a", true, "switched", "a", "ab"),
                // What b signed until 16 is valid until 126.
                turn(125, "a", true, "", "a", "ab"),
                turn(126, "a", true, "retired", "a", "a"),
            ],
        ),
        (
            "a third before the second began to sign",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(1, "c", false, "introduced", "a", "ac"),
                turn(6, "c", true, "", "a", "ac"),
                turn(7, "c", true, "switched", "c", "ac"),
            ],
        ),
        (
            "a third while the first is still trusted",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(6, "b", true, "switched", "b", "ab"),
                turn(7, "c", false, "introduced", "b", "abc"),
                turn(13, "c", true, "switched", "c", "abc"),
                turn(gone, "c", true, "retired", "c", "bc"),
                turn(gone + 7, "c", true, "retired", "c", "c"),
            ],
        ),
        (
            "back to a root that is about to go, and then not",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(6, "b", true, "switched", "b", "ab"),
                turn(50, "a", false, "introduced", "b", "ab"),
                turn(51, "b", false, "withdrawn", "b", "ab"),
                turn(gone, "b", true, "retired", "b", "b"),
            ],
        ),
        (
            "a root that is wanted again does not go in between",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                turn(6, "b", true, "switched", "b", "ab"),
                turn(gone - 1, "a", false, "introduced", "b", "ab"),
                turn(gone, "a", true, "", "b", "ab"),
                turn(gone + 5, "a", true, "switched", "a", "ab"),
            ],
        ),
        (
            "an issuer that cannot be used changes nothing",
            vec![Turn { offer: None, ..turn(0, "", true, "", "a", "a") }],
        ),
        (
            "an issuer that cannot be used ends what the one before began",
            vec![
                turn(0, "b", true, "introduced", "a", "ab"),
                Turn { offer: None, ..turn(1, "", true, "withdrawn", "a", "a") },
            ],
        ),
        (
            "nobody is waited for when the issuer cannot sign",
            vec![
                Turn { signs: false, ..turn(0, "b", false, "forced", "b", "ab") },
                turn(100 + SKEW - 1, "b", true, "", "b", "ab"),
                turn(100 + SKEW, "b", true, "retired", "b", "b"),
            ],
        ),
        (
            "an issuer that cannot sign stays when there is no other",
            vec![
                Turn { signs: false, ..turn(0, "a", true, "", "a", "a") },
                Turn { signs: false, offer: None, ..turn(1, "", true, "", "a", "a") },
            ],
        ),
    ];
    for (name, turns) in table {
        let mut state = State::new(&offer("a"), LIFE);
        for (number, turn) in turns.iter().enumerate() {
            let offered = turn.offer.map(offer);
            let step = state.advance(&Facts {
                now: at(turn.second),
                offer: offered.as_ref(),
                active_signs: turn.signs,
                followed: turn.followed,
                life: LIFE,
                settle: SETTLE,
            });
            assert_eq!(kind(step), turn.step, "{name}, turn {number}");
            assert_eq!(state.active, offer(turn.active).link, "{name}, turn {number}");
            assert_eq!(roots(&state), turn.roots, "{name}, turn {number}");
        }
    }
}

#[test]
fn an_old_root_waits_for_the_longest_life_that_was_given_out() {
    let (long, short) = (Duration::from_secs(1000), Duration::from_secs(10));
    let mut state = State::new(&offer("a"), long);
    let b = offer("b");
    let mut advance = |second: i64| {
        let facts =
            Facts { now: at(second), offer: Some(&b), active_signs: true, followed: true, life: short, settle: SETTLE };
        kind(state.advance(&facts))
    };
    assert_eq!((advance(0), advance(6)), ("introduced", "switched"));
    assert_eq!((advance(6 + 1100 - 1), advance(6 + 1100)), ("", "retired"));
}

#[test]
fn dates_that_are_too_far_away_are_taken_for_the_last_there_is() {
    let b = offer("b");
    let facts = |now| Facts { now, offer: Some(&b), active_signs: true, followed: true, life: LIFE, settle: SETTLE };
    let mut state = State::new(&offer("a"), Duration::MAX);
    state.advance(&facts(at(0)));
    state.next = state.next.map(|next| Next { since: Timestamp::MAX, ..next });
    assert_eq!(state.due(SETTLE), Some(Timestamp::MAX));
    assert_eq!(kind(state.advance(&facts(at(1)))), "", "a moment that has not come yet is now");
    assert_eq!(state.due(SETTLE), Some(at(7)));
    assert_eq!(kind(state.advance(&facts(at(7)))), "switched");
    assert_eq!(state.roots[0].retires, Some(Timestamp::MAX));
}

#[test]
fn says_when_to_look_again() {
    let mut state = State::new(&offer("a"), LIFE);
    assert_eq!(state.due(SETTLE), None);
    let b = offer("b");
    let facts = |second| Facts {
        now: at(second),
        offer: Some(&b),
        active_signs: true,
        followed: true,
        life: LIFE,
        settle: SETTLE,
    };
    state.advance(&facts(0));
    assert_eq!(state.due(SETTLE), Some(at(6)));
    assert!(state.is_rotating());
    state.advance(&facts(6));
    assert_eq!(state.due(SETTLE), Some(at(6 + 100 + SKEW)));
    assert!(state.is_rotating());
    state.advance(&facts(6 + 100 + SKEW));
    assert_eq!(state.due(SETTLE), None);
    assert!(!state.is_rotating());
}

#[test]
fn a_sidecar_that_comes_back_as_slowly_as_it_may_is_waited_for() {
    let mut state = State::new(&offer("a"), LIFE);
    let b = offer("b");
    // It takes five seconds to find that its operator is gone, pauses for five, is connected two later and answers after one.
    for (second, followed, want) in [
        (0, true, "introduced"),
        (11, true, ""),
        (12, false, ""),
        (13, true, ""),
        (14, true, ""),
        (15, true, "switched"),
    ] {
        let settle = super::SETTLE;
        let facts = Facts { now: at(second), offer: Some(&b), active_signs: true, followed, life: LIFE, settle };
        assert_eq!(kind(state.advance(&facts)), want, "second {second}");
    }
}
