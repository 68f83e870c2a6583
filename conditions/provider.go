package conditions

import (
	"fmt"

	"cel.dev/cel-go/common/types"
)

// provider tells cel-go which fields a contact has and reads them.
type provider struct {
	*types.Registry
	schema Schema
}

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if name == celContact.TypeName() {
		return types.NewTypeTypeWithParam(celContact), true
	}
	return nil, false
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	return p.schema.fieldNames(), name == celContact.TypeName()
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := p.schema.field(field)
	if !ok || name != celContact.TypeName() {
		return nil, false
	}
	read := func(of any) (any, error) {
		e, ok := of.(*evaluation)
		if !ok {
			return nil, fmt.Errorf("%T is not a contact", of)
		}
		v, ok := e.value(f)
		if !ok {
			return nil, errMissing
		}
		return v, nil
	}
	isSet := func(of any) bool {
		_, err := read(of)
		return err == nil
	}
	return &types.FieldType{Type: f.Type.celType(), IsSet: isSet, GetFrom: read}, true
}
