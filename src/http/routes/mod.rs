//! Every route of the product, once, with who may call it. No logic.

mod chats;
mod house;
mod library;
mod models;
mod openai;
mod pages;
mod search;
mod talk;

use super::table::Route;

/// All routes.
pub fn all() -> Vec<Route> {
    [
        pages::rows(),
        house::rows(),
        models::rows(),
        library::rows(),
        chats::rows(),
        search::rows(),
        talk::rows(),
        openai::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::table::Table;

    #[test]
    fn the_table_has_no_row_twice_and_none_that_hides_another() {
        let rows = all().len();
        let table = Table::new(all()).unwrap();
        assert_eq!(table.rows().len(), rows);
    }
}
