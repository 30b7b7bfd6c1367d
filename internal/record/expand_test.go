package record

import "reflect"

type typeOfAEAD = reflect.Type

func pointerFreeValue(v any) bool { return pointerFree(reflect.TypeOf(v)) }

func isZeroValue(v any) bool { return reflect.ValueOf(v).Elem().IsZero() }
