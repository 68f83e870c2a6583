CREATE FUNCTION address_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO former_addresses (contact_id, kind, hash)
  SELECT OLD.contact_id, OLD.kind, OLD.hash FROM contacts c WHERE c.id = OLD.contact_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;

CREATE TRIGGER addresses_gone AFTER DELETE ON addresses
  FOR EACH ROW EXECUTE FUNCTION address_gone();

CREATE TRIGGER addresses_changed AFTER UPDATE OF contact_id, value ON addresses
  FOR EACH ROW WHEN (OLD.contact_id <> NEW.contact_id OR OLD.value <> NEW.value) EXECUTE FUNCTION address_gone();

CREATE FUNCTION contact_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM former_addresses WHERE contact_id = OLD.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER contacts_gone AFTER DELETE ON contacts
  FOR EACH ROW EXECUTE FUNCTION contact_gone();
