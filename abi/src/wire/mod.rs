//! What goes over the boundary: numbers, header-map pairs, properties. Free of the engine.

pub mod pairs;
pub mod property;
pub mod protobuf;
pub mod types;
