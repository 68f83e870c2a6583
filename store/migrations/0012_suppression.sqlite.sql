CREATE TRIGGER addresses_gone AFTER DELETE ON addresses
WHEN EXISTS (SELECT 1 FROM contacts c WHERE c.id = OLD.contact_id)
BEGIN
  INSERT INTO former_addresses (contact_id, kind, hash) VALUES (OLD.contact_id, OLD.kind, OLD.hash) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER addresses_changed AFTER UPDATE OF contact_id, value ON addresses
WHEN OLD.contact_id <> NEW.contact_id OR OLD.value <> NEW.value
BEGIN
  INSERT INTO former_addresses (contact_id, kind, hash) VALUES (OLD.contact_id, OLD.kind, OLD.hash) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER contacts_gone AFTER DELETE ON contacts
BEGIN
  DELETE FROM former_addresses WHERE contact_id = OLD.id;
END;
