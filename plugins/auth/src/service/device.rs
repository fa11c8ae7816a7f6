//! A device that has logged in to an account before: others can't use up what it may try there.

use tidegate_core::{Cx, Reply, header};

use super::Desk;
use super::answer::Answer;
use super::cookies::Scripts;
use crate::guard::KNOWN_FOR;

impl Desk<'_> {
    /// Whether the client has logged in to the account before.
    pub(super) fn is_trusted(&self, cx: &Cx<'_>, account: &str) -> bool {
        self.service.deps.guard.knows(account, cx.head().cookie(&self.service.cookies.device))
    }

    /// The same answer, after which it has.
    pub(super) fn with_device(&self, reply: Reply, account: &str) -> Answer {
        let service = self.service;
        let Some(value) = service.deps.guard.device_token(account) else { return Ok(reply) };
        let cookie = service.cookies.set(&service.cookies.device, &value, "/", KNOWN_FOR, Scripts::Blind)?;
        Ok(reply.append(header::SET_COOKIE, cookie))
    }
}
