//! Tests of whole configuration files.

mod cases;
mod fixture;
mod guide;
mod interpolation;
mod meaning;
mod robustness;
mod schema;
mod secrecy;
