"""What the end-to-end tests share: a cluster of real programs, a NATS client, checkers."""
