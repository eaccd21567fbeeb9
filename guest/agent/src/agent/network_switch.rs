//! `network`: the host turns the network of the guest on or off.

use super::network::Network;
use super::{Agent, Exchange};
use crate::error::{Step, StepError};
use crate::network::trust::write_new;
use crate::wire::message::{ErrorCode, RequestError};
use crate::wire::request;

/// The host has its own deadlines for names; to ask again before they have passed would only be more work.
const RESOLVER: &str = "nameserver 100.64.0.1\noptions timeout:10 attempts:2\n";

impl Agent {
    /// Turns the network on or off. Programs that are started from now on find it so.
    pub(super) fn set_network(&mut self, id: u32, request: &request::Network) -> Result<(), RequestError> {
        let done = if request.enabled { self.network_on(request.authorities.as_deref()) } else { self.network_off() };
        done.map_err(|error| RequestError::new(ErrorCode::Internal, error.to_string()))?;
        if request.enabled {
            self.respond_resumed(id);
        } else {
            self.exchanges.insert(id, Exchange::NetworkOff);
        }
        Ok(())
    }

    fn network_on(&mut self, authorities: Option<&str>) -> Result<(), StepError> {
        let files = &mut self.config.network;
        if let Some(trust) = &mut files.trust {
            trust.set(authorities.unwrap_or_default())?;
        }
        // One that is on its way out goes at once.
        self.network = self.network.take().filter(|network| !network.is_closing());
        if self.network.is_none() {
            self.network = Some(Box::new(Network::open(&files.device, files.waiting_bytes, &self.poller)?));
        }
        write_new(&files.resolver, RESOLVER.as_bytes()).step("writing resolv.conf")
    }

    fn network_off(&mut self) -> Result<(), StepError> {
        let Some(network) = &mut self.network else { return Ok(()) };
        network.close(&mut self.port)?;
        write_new(&self.config.network.resolver, b"").step("writing resolv.conf")
    }

    /// Lets the network go once it is closed.
    pub(super) fn drop_closed_network(&mut self) {
        if let Some(mut network) = self.network.take_if(|network| network.is_closed()) {
            network.drain(&mut self.port);
        }
    }
}
