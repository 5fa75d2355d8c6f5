"""How the backbone is run: on one machine (`deploy.local`), with Compose, on Kubernetes."""
