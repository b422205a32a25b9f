//! Managed databases: the objects of KubeBlocks (`apps.kubeblocks.io/v1alpha1`) brought to life.
