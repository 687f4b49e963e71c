"""Pictures of scenes made up by a generator: networks, training, alarms, measures, sampling."""
