//! A gateway with one plugin of our own.

use std::process::ExitCode;

use tidegate::Gateway;
use tidegate_maintenance::{Maintenance, OnePool};

fn main() -> ExitCode {
    Gateway::new().router::<OnePool>().plugin::<Maintenance>().main()
}
