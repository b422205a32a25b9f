//! The label and annotation keys by which the platform finds its objects. They are an interface:
//! tools and templates written for Sealos read and write them.

/// Marks every object of an app; the value is the app's name.
pub const APP: &str = "cloud.sealos.io/app-deploy-manager";
/// On an Ingress: the generated host's first label.
pub const APP_DOMAIN: &str = "cloud.sealos.io/app-deploy-manager-domain";
/// The label by which an app's Service finds its pods.
pub const POD: &str = "app";
/// In a pod template: changed to restart an app.
pub const RESTART_TIME: &str = "restartTime";
/// The image as the user typed it.
pub const ORIGIN_IMAGE: &str = "originImageName";
/// Lower bound of the replicas, as a string.
pub const MIN_REPLICAS: &str = "deploy.cloud.sealos.io/minReplicas";
/// Upper bound of the replicas, as a string.
pub const MAX_REPLICAS: &str = "deploy.cloud.sealos.io/maxReplicas";
/// Total storage of an app.
pub const RESIZE: &str = "deploy.cloud.sealos.io/resize";
/// What a stopped app goes back to: `{"target": …, "value": …}`.
pub const PAUSE: &str = "deploy.cloud.sealos.io/pause";
/// On an app's workload: the database it was deployed with, as JSON.
pub const DATABASE: &str = "deploy.cloud.sealos.io/database";
/// On an app's workload: the bucket it was deployed with, as JSON.
pub const BUCKET: &str = "deploy.cloud.sealos.io/bucket";
/// A free text of the user's.
pub const REMARK: &str = "cloud.sealos.io/remark";
/// The field manager under which the platform applies objects.
pub const FIELD_MANAGER: &str = "sealos";
/// Ingress class of an app that is served.
pub const CLASS_SERVED: &str = "nginx";
/// Ingress class of an app that is stopped.
pub const CLASS_PAUSED: &str = "pause";
