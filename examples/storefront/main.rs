//! An axum application with an experiment in it. Run it, and open the address that it prints:
//!
//! ```sh
//! cargo run --example storefront --features axum
//! ```
//!
//! It listens on port 3000 of this machine, or on the address that is given: `-- 127.0.0.1:8080`.

mod app;

use std::error::Error;

use tokio::net::TcpListener;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "tells where to look")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app::app(app::service()?)).await?;
    Ok(())
}
