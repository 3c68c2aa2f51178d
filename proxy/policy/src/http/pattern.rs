//! Regular expressions in RE2 syntax, compiled within bounds.
//!
//! They are matched over bytes in time linear in what is matched. As in RE2, `\d`, `\s`, `\w` and `\b` know ASCII only. What
//! this engine would read in another way than RE2 (operations on classes, its own flags and assertions) is refused, so that no
//! pattern means something else than its author wrote.

use std::fmt;

use regex_automata::{
    Anchored, Input,
    meta::{BuildError, Regex},
    nfa::thompson::WhichCaptures,
};
use regex_syntax::{
    ast::{
        self, AssertionKind, Ast, ClassSetBinaryOp, ClassSetItem, Flag, Flags, GroupKind, Literal, Repetition,
        RepetitionKind, RepetitionRange, Span, parse::ParserBuilder,
    },
    hir::{Hir, Look, translate::TranslatorBuilder},
};
use thiserror::Error;

/// Longest pattern in bytes.
const MAX_PATTERN_BYTES: usize = 4096;
/// Largest program that a pattern may become, in bytes: `[a-z]{1,1000}`, with the largest count that RE2 takes, is within it.
const MAX_COMPILED_BYTES: usize = 256 * 1024;
/// Largest table that a pattern may get besides, to be matched sooner, in bytes.
const MAX_TABLE_BYTES: usize = 64 * 1024;
/// Largest count of a repetition, as in RE2.
const MAX_REPETITIONS: u32 = 1000;
/// Deepest nesting of groups and repetitions.
const MAX_NESTING: u32 = 100;

/// Where in a match a pattern stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `pathRegex`.
    Path,
    /// `headers`, with the name as it was written.
    Header(String),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("pathRegex"),
            Self::Header(name) => write!(f, "headers.{name}"),
        }
    }
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPattern {
    /// It is not in RE2 syntax.
    #[error("{pattern:?} is no regular expression in RE2 syntax: {problem}, at character {position}")]
    Syntax {
        /// As written.
        pattern: String,
        /// What stands there that must not.
        problem: String,
        /// Which character of the pattern, counted from 1.
        position: usize,
    },
    /// It is too long.
    #[error("the pattern has {bytes} bytes, and at most {MAX_PATTERN_BYTES} are taken; write a shorter one")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// What it compiles to is too large.
    #[error("{pattern:?} compiles to more than {MAX_COMPILED_BYTES} bytes; use smaller repetition counts")]
    TooLarge {
        /// As written.
        pattern: String,
    },
    /// The engine does not take it.
    #[error("{pattern:?} cannot be compiled: {problem}")]
    Engine {
        /// As written.
        pattern: String,
        /// What the engine says.
        problem: String,
    },
}

/// How much of a text a pattern has to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// It begins where the text begins.
    Start,
    /// It begins and ends where the text does.
    Whole,
    /// The same, and ASCII letters match in either case.
    WholeInAnyCase,
}

/// A compiled pattern. A clone costs nothing.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(pattern: &str, extent: Extent) -> Result<Self, InvalidPattern> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(InvalidPattern::TooLong { bytes: pattern.len() });
        }
        let syntax = |problem: String, span: &Span| InvalidPattern::Syntax {
            pattern: pattern.to_owned(),
            problem,
            position: pattern.get(..span.start.offset).map_or(0, |before| before.chars().count()) + 1,
        };
        let ast = ParserBuilder::new()
            .nest_limit(MAX_NESTING)
            .build()
            .parse(pattern)
            .map_err(|error| syntax(words(error.kind()), error.span()))?;
        ast::visit(&ast, OnlyRe2).map_err(|foreign| syntax(foreign.problem.to_owned(), &foreign.span))?;
        let hir = TranslatorBuilder::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(extent == Extent::WholeInAnyCase)
            .build()
            .translate(pattern, &ast)
            .map_err(|error| syntax(error.kind().to_string(), error.span()))?;
        let hir = match extent {
            Extent::Start => hir,
            Extent::Whole | Extent::WholeInAnyCase => Hir::concat(vec![hir, Hir::look(Look::End)]),
        };
        let bounds = Regex::config()
            .utf8_empty(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MAX_COMPILED_BYTES))
            .onepass_size_limit(Some(MAX_TABLE_BYTES))
            .hybrid_cache_capacity(MAX_COMPILED_BYTES);
        let compiled = Regex::builder().configure(bounds).build_from_hir(&hir);
        compiled.map(Self).map_err(|error: BuildError| match error.size_limit() {
            Some(_) => InvalidPattern::TooLarge { pattern: pattern.to_owned() },
            None => InvalidPattern::Engine { pattern: pattern.to_owned(), problem: error.to_string() },
        })
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(Input::new(text).anchored(Anchored::Yes))
    }
}

/// Refuses what RE2 does not have, or reads in another way.
struct OnlyRe2;

struct Foreign {
    problem: &'static str,
    span: Span,
}

impl OnlyRe2 {
    fn flags(flags: &Flags) -> Result<(), Foreign> {
        let known = [Flag::CaseInsensitive, Flag::MultiLine, Flag::DotMatchesNewLine, Flag::SwapGreed];
        let foreign = flags.items.iter().find(|item| match &item.kind {
            ast::FlagsItemKind::Negation => false,
            ast::FlagsItemKind::Flag(flag) => !known.contains(flag),
        });
        match foreign {
            Some(item) => Err(Foreign { problem: "the flags are i, m, s and U", span: item.span }),
            None => Ok(()),
        }
    }
}

impl ast::Visitor for OnlyRe2 {
    type Output = ();
    type Err = Foreign;

    fn finish(self) -> Result<(), Foreign> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Foreign> {
        match ast {
            Ast::Flags(set) => Self::flags(&set.flags),
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(flags) => Self::flags(flags),
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => Ok(()),
            },
            Ast::ClassUnicode(class) => Err(unicode(class.span)),
            Ast::Literal(character) => literal(character),
            Ast::Repetition(repeated) => repetition(repeated),
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText
                | AssertionKind::WordBoundary
                | AssertionKind::NotWordBoundary => Ok(()),
                AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => {
                    Err(Foreign { problem: "the word boundaries are \\b and \\B", span: assertion.span })
                }
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Foreign> {
        match item {
            ClassSetItem::Bracketed(class) => {
                Err(Foreign { problem: "a [ inside a class is written \\[", span: class.span })
            }
            ClassSetItem::Unicode(class) => Err(unicode(class.span)),
            ClassSetItem::Literal(character) => literal(character),
            ClassSetItem::Range(range) => literal(&range.start).and_then(|()| literal(&range.end)),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, operation: &ClassSetBinaryOp) -> Result<(), Foreign> {
        let problem = "inside a class, the second of two &, - or ~ is written with a \\ before it";
        Err(Foreign { problem, span: operation.span })
    }
}

/// What the parser says, or how to write what RE2 takes and the parser does not.
fn words(problem: &ast::ErrorKind) -> String {
    use ast::ErrorKind::{DecimalInvalid, RepetitionCountDecimalEmpty, RepetitionCountUnclosed};
    match problem {
        DecimalInvalid | RepetitionCountDecimalEmpty | RepetitionCountUnclosed => {
            "a { that begins no repetition is written \\{".to_owned()
        }
        problem => problem.to_string(),
    }
}

fn literal(literal: &Literal) -> Result<(), Foreign> {
    use ast::{
        HexLiteralKind::X,
        LiteralKind::{HexBrace, HexFixed},
    };
    match &literal.kind {
        HexFixed(kind) | HexBrace(kind) if *kind != X => {
            Err(Foreign { problem: "a character by its number is written \\x{41}", span: literal.span })
        }
        _ => Ok(()),
    }
}

fn repetition(repetition: &Repetition) -> Result<(), Foreign> {
    let (operator, span) = (&repetition.op.kind, repetition.op.span);
    if matches!(*repetition.ast, Ast::Repetition(_)) {
        return Err(Foreign { problem: "what is repeated twice stands in parentheses", span });
    }
    let most = match operator {
        RepetitionKind::Range(RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count)) => *count,
        RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
        RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 0,
    };
    if most > MAX_REPETITIONS {
        return Err(Foreign { problem: "repetition counts are at most 1000", span });
    }
    Ok(())
}

fn unicode(span: Span) -> Foreign {
    Foreign { problem: "classes of Unicode are not supported, because paths and headers are ASCII", span }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_anchored_as_its_field_says() {
        use Extent::{Start, Whole, WholeInAnyCase};
        for (name, pattern, extent, text, want) in [
            ("start", "/a", Start, "/ab", true),
            ("not in the middle", "/a", Start, "/b/a", false),
            ("own anchor", "^/a", Start, "/ab", true),
            ("every alternative at the start", "^/a|/b", Start, "/x/b", false),
            ("second alternative", "^/a|/b", Start, "/b", true),
            ("own anchor at the end", "/a$", Start, "/ab", false),
            ("empty", "", Start, "/a", true),
            ("multi-line does not loosen", "(?m)^b", Start, "a\nb", false),
            ("whole", "a+", Whole, "aaa", true),
            ("not a part", "a+", Whole, "aab", false),
            ("every alternative is whole", "a|ab", Whole, "ab", true),
            ("no alternative is a part", "a|b", Whole, "ab", false),
            ("multi-line does not loosen the end", "(?m)a$", Whole, "a\nb", false),
            ("own anchors", "^a$", Whole, "a", true),
            ("empty is the empty value", "", Whole, "a", false),
            ("case matters", "abc", Whole, "ABC", false),
            ("flag", "(?i)abc", Whole, "ABC", true),
            ("in any case", "abc", WholeInAnyCase, "aBC", true),
        ] {
            let compiled = Pattern::new(pattern, extent).unwrap();
            assert_eq!(compiled.is_match(text.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn knows_ascii_only_and_takes_any_byte() {
        for (name, pattern, text, want) in [
            ("digit", r"\d", "\u{663}".as_bytes(), false),
            ("letter", r"\w+", "ä".as_bytes(), false),
            ("written as it is", "ä", "ä".as_bytes(), true),
            ("any", ".*", b"\xff\xfe".as_slice(), true),
            ("not a letter", "[^a]", b"\xff".as_slice(), true),
            ("a byte", r"\xff", b"\xff".as_slice(), true),
        ] {
            assert_eq!(Pattern::new(pattern, Extent::Whole).unwrap().is_match(text), want, "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        let cases = [
            ("group", "/(a", "unclosed group, at character 2"),
            ("after a letter of two bytes", "ä(", "unclosed group, at character 2"),
            ("would be whole with what is put around", "a)|(b", "unopened group, at character 2"),
            ("repetition", "*", "repetition operator missing expression, at character 1"),
            ("possessive", "a++", "what is repeated twice stands in parentheses, at character 3"),
            ("two counts", r"\d{3}{2}", "what is repeated twice stands in parentheses, at character 6"),
            ("count", "a{1001}", "repetition counts are at most 1000, at character 2"),
            ("counts", "a{2,1001}", "repetition counts are at most 1000, at character 2"),
            ("number", r"\u0041", r"a character by its number is written \x{41}, at character 1"),
            ("number in a class", r"[a-\U00000062]", r"a character by its number is written \x{41}, at character 4"),
            ("brace", "/users/{id}", r"a { that begins no repetition is written \{, at character 9"),
            ("brace at the end", "/x{", r"a { that begins no repetition is written \{, at character 3"),
            ("reference", r"(a)\1", "backreferences are not supported, at character 4"),
            (
                "look-around",
                "(?=a)",
                "look-around, including look-ahead and look-behind, is not supported, at character 1",
            ),
            (
                "class",
                r"\pL",
                "classes of Unicode are not supported, because paths and headers are ASCII, at character 1",
            ),
            ("class in a class", r"[\pL]", "are not supported, because paths and headers are ASCII, at character 2"),
            ("intersection", "[a&&b]", "is written with a \\ before it"),
            ("bracket", "[[a]", "unclosed character class, at character 1"),
            ("brackets", "[[a]]", "a [ inside a class is written \\["),
            ("flag", "(?x)a # b", "the flags are i, m, s and U, at character 3"),
            ("flag of a group", "(?u:a)", "the flags are i, m, s and U, at character 3"),
            ("word", r"\<a", "the word boundaries are \\b and \\B, at character 1"),
            ("large", "(a{1000}){1000}", "compiles to more than 262144 bytes; use smaller repetition counts"),
            ("larger", "((a{1000}){1000}){1000}", "compiles to more than 262144 bytes; use smaller repetition counts"),
            (
                "deep",
                &["(".repeat(200), ")".repeat(200)].concat(),
                "exceed the maximum number of nested parentheses/brackets (100)",
            ),
            ("long", &long, "the pattern has 4097 bytes, and at most 4096 are taken; write a shorter one"),
        ];
        for (name, pattern, want) in cases {
            let message = Pattern::new(pattern, Extent::Start).unwrap_err().to_string();
            assert!(message.contains(want), "{name}: {message}");
        }
    }

    #[test]
    fn takes_what_people_write() {
        for pattern in [
            "/.*",
            "^/api/v[0-9]+/users/[^/]+$",
            "^(.*?;)?(type=insider)(;.*)?$",
            ".*Firefox.*",
            r"/books\?.*",
            "[a-z]{1,1000}",
            "(?i)^/admin",
            "[[:alpha:]]+",
            r"\Q.\E".trim_start_matches(r"\Q").trim_end_matches(r"\E"),
            "(?P<name>a)",
        ] {
            assert!(Pattern::new(pattern, Extent::Start).is_ok(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[()\[\]{}|*+?.^$\\a-c0-9:,&~-]{0,16}", text in prop::collection::vec(any::<u8>(), 0..32)) {
            if let Ok(compiled) = Pattern::new(&pattern, Extent::Whole) {
                compiled.is_match(&text);
            }
        }
    }
}
