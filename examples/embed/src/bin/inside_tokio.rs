//! A program with a Tokio runtime and a server of its own, and a gateway in the same runtime before it.

use tidegate_embed_example::{App, gateway};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::start().await?;
    let gateway = gateway(&app.address().to_string()).await?;
    if let Some(address) = gateway.address("public") {
        println!("listening on {address}");
        println!("try: curl -i http://{address}/hello/world");
    }
    tokio::signal::ctrl_c().await?;
    // Requests in flight end first; then the program does what else it has to do at its end.
    gateway.shutdown().await;
    Ok(())
}
