-- What happened to people, as other systems tell it; and which events there are.

-- Names stay when their events are gone: conditions speak of them.
CREATE TABLE event_names (
  id {{id}},
  name TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL
);

-- key is the sender's own ID of the event: the same one twice is once. digest
-- tells whether what came under it again is the same, with the time as it was
-- said or was not. data is a JSON object or null.
CREATE TABLE events (
  id {{id}},
  key TEXT NOT NULL UNIQUE,
  contact_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  name_id BIGINT NOT NULL REFERENCES event_names (id),
  at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  data TEXT,
  digest BIGINT NOT NULL
);

-- Conditions count by person, name and time; retention and lists go by time.
CREATE INDEX events_contact ON events (contact_id, name_id, at);
CREATE INDEX events_at ON events (at, id);
