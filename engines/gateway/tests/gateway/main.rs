//! The gateway over real sockets, in front of small servers that behave well and badly.

mod clients;
mod protocols;
mod rolling;
mod routing;
mod support;
mod trouble;
