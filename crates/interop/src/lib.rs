//! The README, the guide and the recipes, whose examples compile and run as tests; and a proxy that
//! breaks connections.
#![forbid(unsafe_code)]

pub mod fault_proxy;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/recipes.md")]
struct Recipes;
