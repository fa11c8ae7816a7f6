//! Stories across plugins over real sockets. All of them are in `tests/`: `stories` runs gateways in its own process,
//! `process` runs the program itself, and other programs beside it.
