//! The scripts: whatever reads and then writes is one of them, so that nobody comes in between. Needs Redis 5 or newer.

use std::sync::LazyLock;

use tidegate_core::Script;

macro_rules! script {
    ($($part:literal),*) => {
        LazyLock::new(|| Script::new(concat!(include_str!("lua/prelude.lua"), $(include_str!(concat!("lua/", $part))),*)))
    };
}

pub(super) static OPEN: LazyLock<Script> = script!("open.lua");
pub(super) static LIST: LazyLock<Script> = script!("list.lua");
pub(super) static ROTATE: LazyLock<Script> = script!("session.lua", "rotate.lua");
pub(super) static TOUCH: LazyLock<Script> = script!("session.lua", "touch.lua");
pub(super) static REVOKE: LazyLock<Script> = script!("revoke.lua");
pub(super) static COUNT: LazyLock<Script> = script!("count.lua");
pub(super) static PUT: LazyLock<Script> = script!("put.lua");
pub(super) static UPDATE: LazyLock<Script> = script!("update.lua");
pub(super) static CLAIM: LazyLock<Script> = script!("claim.lua");
pub(super) static CONFIRM: LazyLock<Script> = script!("confirm.lua");
pub(super) static REMOVE_IF: LazyLock<Script> = script!("remove_if.lua");
pub(super) static SWAP_KEYS: LazyLock<Script> = script!("swap_keys.lua");
