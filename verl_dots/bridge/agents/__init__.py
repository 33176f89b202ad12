"""Inside the agent loop workers: prompts to requests, responses to rows of the TransferQueue."""
