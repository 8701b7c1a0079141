//! The README, the guide and the recipes, whose examples compile and, where they come to an end, run
//! as tests; and a proxy that breaks connections.
#![forbid(unsafe_code)]

pub mod fault_proxy;
pub mod readme;

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/README.md"))]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/recipes.md")]
struct Recipes;
