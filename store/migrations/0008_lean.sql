-- What a worker holds is found by its number, which stands on nothing else: so
-- the step from claimed to sending leaves this index alone.
DROP INDEX deliveries_held;
CREATE INDEX deliveries_held ON deliveries (worker_id, id) WHERE worker_id IS NOT NULL;
