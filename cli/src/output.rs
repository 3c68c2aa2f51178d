//! Printing rows, as a table for people or as JSON for programs.

use clap::ValueEnum;
use serde::Serialize;

/// Form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: a table, whose columns may change.
    #[default]
    Table,
    /// For programs: an array with one object for each row, or one object. Its fields are not renamed or removed.
    Json,
}

/// What a table shows of a row. As JSON the row is printed as it serialises.
pub(crate) trait Row: Serialize {
    /// Headings of the columns.
    const HEADINGS: &'static [&'static str];

    /// One cell for each heading.
    fn cells(&self) -> Vec<String>;
}

/// `rows` in the form asked for, with a line end.
///
/// Fails when a row cannot be written as JSON.
pub(crate) fn render<R: Row>(rows: &[R], format: Format) -> Result<String, serde_json::Error> {
    match format {
        Format::Table => Ok(table_of(rows)),
        Format::Json => Ok(serde_json::to_string_pretty(rows)? + "\n"),
    }
}

/// `rows` as a table, with a line end.
pub(crate) fn table_of<R: Row>(rows: &[R]) -> String {
    table(R::HEADINGS, &rows.iter().map(one_line_cells).collect::<Vec<_>>())
}

/// The cells with their lines joined: a message from the cluster may have several, and a row has one.
fn one_line_cells<R: Row>(row: &R) -> Vec<String> {
    row.cells().iter().map(|cell| cell.lines().collect::<Vec<_>>().join(" ")).collect()
}

/// Columns as wide as their widest cell, three spaces apart, without spaces at the ends of lines.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize, heading: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.fold(heading.chars().count(), usize::max)
    };
    let widths: Vec<usize> = headings.iter().enumerate().map(|(column, heading)| width(column, heading)).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("   ").trim_end())
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Service {
        name: &'static str,
        weight: Option<u32>,
    }

    impl Row for Service {
        const HEADINGS: &'static [&'static str] = &["NAME", "WEIGHT", ""];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.weight.map(|w| w.to_string()).unwrap_or_default(), String::new()]
        }
    }

    const ROWS: [Service; 2] =
        [Service { name: "wéb-canary", weight: Some(10) }, Service { name: "web", weight: None }];

    #[test]
    fn aligns_columns_by_characters() {
        assert_eq!(render(&ROWS, Format::Table).unwrap(), "NAME         WEIGHT\nwéb-canary   10\nweb\n");
    }

    #[test]
    fn prints_headings_over_nothing() {
        assert_eq!(render::<Service>(&[], Format::Table).unwrap(), "NAME   WEIGHT\n");
        assert_eq!(render::<Service>(&[], Format::Json).unwrap(), "[]\n");
    }

    #[test]
    fn prints_a_row_on_one_line() {
        let row = [Service { name: "web\ncanary\n", weight: None }];
        assert_eq!(render(&row, Format::Table).unwrap(), "NAME         WEIGHT\nweb canary\n");
    }

    #[test]
    fn prints_rows_as_json_objects() {
        let json: serde_json::Value = serde_json::from_str(&render(&ROWS, Format::Json).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!([{"name": "wéb-canary", "weight": 10}, {"name": "web", "weight": null}]));
    }
}
