//! What every plugin must keep to. A plugin for the routing plugin's routes has this in one line:
//! `tidegate_testkit::conformance!(Maintenance, "../README.md")`; this one has a router of its own.

use tidegate_maintenance::{Maintenance, OnePool};
use tidegate_testkit::{conformance, gateway};

tidegate_testkit::count_allocations!();

#[test]
fn unknown_keys_are_refused() {
    conformance::unknown_keys_are_refused::<Maintenance>();
}

#[test]
fn every_field_is_documented() {
    conformance::every_field_is_documented::<Maintenance>();
}

#[test]
fn a_route_without_it_pays_nothing() {
    conformance::route_without_it_pays_nothing::<Maintenance>("{}");
}

#[tokio::test]
async fn the_yaml_of_the_readme_works() {
    let readme = include_str!("../README.md");
    let yaml = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    assert_eq!(gateway().router::<OnePool>().plugin::<Maintenance>().check(yaml), Ok(()));
}
