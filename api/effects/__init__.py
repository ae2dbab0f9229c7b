"""What became of each transaction, as records of a Kafka topic: exactly one each, in the order of the chain."""
