//! Who is asking.

/// A caller whose name has been established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user name, e.g. `system:serviceaccount:default:web`.
    pub user: String,
    /// A stable id, where there is one.
    pub uid: Option<String>,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Further facts, e.g. the pod a token is bound to.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Group of everyone whose name is known.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// Group of everyone else.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Group that may do anything, whatever the roles say.
pub(crate) const MASTERS: &str = "system:masters";

impl Identity {
    /// A user in `groups` and in `system:authenticated`.
    pub fn new<G: Into<String>>(user: impl Into<String>, groups: impl IntoIterator<Item = G>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(Into::into).collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { user: user.into(), uid: None, groups, extra: Vec::new() }
    }

    /// The one who may do anything.
    pub fn admin() -> Self {
        Self::new("kubernetes-admin", [MASTERS])
    }

    /// The API server's own work: admission, bootstrap.
    pub fn server() -> Self {
        Self::new("system:apiserver", [MASTERS])
    }

    /// The scheduler.
    pub fn scheduler() -> Self {
        Self::new("system:kube-scheduler", None::<String>)
    }

    /// The controllers.
    pub fn controller_manager() -> Self {
        Self::new("system:kube-controller-manager", None::<String>)
    }

    /// The node agent of node `name`.
    pub fn node(name: &str) -> Self {
        Self::new(format!("system:node:{name}"), ["system:nodes"])
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::new(
            format!("system:serviceaccount:{namespace}:{name}"),
            ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        )
    }

    /// Someone without credentials.
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".to_owned(),
            uid: None,
            groups: vec![UNAUTHENTICATED.to_owned()],
            extra: Vec::new(),
        }
    }

    /// Whether this caller is in `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
