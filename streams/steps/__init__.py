"""The steps of the pipeline as pure code: data and time in, data out. Kafka and replay both call these."""
