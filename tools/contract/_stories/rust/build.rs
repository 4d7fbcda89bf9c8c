//! Makes the client, the module `api` of the story, from the contract that KASSA_CONTRACT names.
use std::{env, fs, path::Path};

/// progenitor gives all successes of an operation one type, and panics where there are two: this
/// one is events, or no content.
const NOT_FOR_PROGENITOR: &str = "/api/events/prediction/{id}/stream";

fn main() {
    let contract = env::var("KASSA_CONTRACT").expect("KASSA_CONTRACT names the contract in JSON");
    println!("cargo::rerun-if-env-changed=KASSA_CONTRACT");
    println!("cargo::rerun-if-changed={contract}");
    let text = fs::read_to_string(contract).expect("the contract cannot be read");
    let mut spec: openapiv3::OpenAPI = serde_json::from_str(&text).expect("the contract is not OpenAPI");
    spec.paths.paths.shift_remove(NOT_FOR_PROGENITOR).expect("the contract has no event stream");
    let tokens = progenitor::Generator::default().generate_tokens(&spec).expect("progenitor makes no client");
    let code = prettyplease::unparse(&syn::parse2(tokens).expect("progenitor made no Rust"));
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("api.rs"), code).expect("the client cannot be written");
}
