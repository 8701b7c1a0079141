//! Lists of extensions: a list that is accepted can be walked, and what it holds are tokens.
#![no_main]

use duologue_core::handshake::ExtensionList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = ExtensionList::parse(bytes) {
        let mut length = 0;
        for extension in list {
            assert!(!extension.name.is_empty());
            length += extension.name.len();
            for parameter in extension.parameters() {
                assert!(!parameter.name.is_empty());
                length += parameter.name.len();
                if let Some(value) = parameter.value {
                    assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
                    assert!(value.bytes().next().is_some());
                    length += value.bytes().count();
                }
            }
        }
        assert!(length <= bytes.len());
    }
});
