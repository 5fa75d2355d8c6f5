"""Pages for people: server-rendered, without script, and without a request to anybody else."""
