//! Roles, failover and fencing: who of a database's pods takes writes. Clients of the API only.
