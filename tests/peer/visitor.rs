use autumn_web::session::Session;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use experiments::ExperimentActor;
use experiments::web::ANONYMOUS_KEY;

/// For `axum::middleware::from_fn`: the actor is whom Autumn's own extractor would find.
pub async fn visitor(session: Session, mut request: Request, next: Next) -> Response {
    let known = match session.get("user_id").await {
        None => session.get(ANONYMOUS_KEY).await,
        user => user,
    };
    let actor = match known {
        Some(actor) => actor,
        None => {
            let id = session.id().await;
            session.insert(ANONYMOUS_KEY, &id).await;
            id
        }
    };
    request.extensions_mut().insert(ExperimentActor(actor));
    next.run(request).await
}
