package modelfile

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Element types of ONNX tensors.
const (
	elemFloat = 1
	elemInt8  = 3
	elemInt64 = 7
)

// message is a protocol buffer message under construction. The field numbers
// below are those of onnx.proto; its generated Go code is internal to its module.
type message []byte

func (m message) varint(field protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func (m message) bytes(field protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), v)
}

func (m message) text(field protowire.Number, v string) message { return m.bytes(field, []byte(v)) }

// graph encodes the lookup table as an ONNX model:
//
//	last_hidden_state[batch, sequence, dimensions] =
//	    float(table[input_ids]) * scale[input_ids]
//
// The table is int8 with one scale per row: a quarter of the size of float32,
// and unit vectors move by about 1e-3. The mean over the pieces is hugot's
// work; it needs attention_mask as an input, or it takes the first piece only.
func graph(rows [][]float32) []byte {
	dims := uint64(len(rows[0]))
	table, scale := quantize(rows)
	g := message{}.
		bytes(1, node("Gather", "rows", "table", "input_ids")).
		bytes(1, node("Gather", "row_scale", "scale", "input_ids")).
		bytes(1, node("Cast", "rows_float", "rows").bytes(5, intAttribute("to", elemFloat))).
		bytes(1, node("Mul", "last_hidden_state", "rows_float", "row_scale")).
		text(2, "kassa-static").
		bytes(5, tensor("table", elemInt8, table, uint64(len(rows)), dims)).
		bytes(5, tensor("scale", elemFloat, scale, uint64(len(rows)), 1)).
		bytes(11, value("input_ids", elemInt64, axis("batch"), axis("sequence"))).
		bytes(11, value("attention_mask", elemInt64, axis("batch"), axis("sequence"))).
		bytes(12, value("last_hidden_state", elemFloat, axis("batch"), axis("sequence"), message{}.varint(1, dims)))
	return message{}.
		varint(1, 8). // IR version
		text(2, "kassa modelgen").
		bytes(7, g).
		bytes(8, message{}.text(1, "").varint(2, 14)) // the default operator set
}

func node(op, output string, inputs ...string) message {
	m := message{}
	for _, in := range inputs {
		m = m.text(1, in)
	}
	return m.text(2, output).text(3, output).text(4, op)
}

func intAttribute(name string, v uint64) message {
	return message{}.text(1, name).varint(3, v).varint(20, 2)
}

func tensor(name string, elem uint64, raw []byte, dims ...uint64) message {
	m := message{}
	for _, d := range dims {
		m = m.varint(1, d)
	}
	return m.varint(2, elem).text(8, name).bytes(9, raw)
}

// axis is a dimension of any length, by name.
func axis(name string) message { return message{}.text(2, name) }

func value(name string, elem uint64, dims ...message) message {
	shape := message{}
	for _, d := range dims {
		shape = shape.bytes(1, d)
	}
	return message{}.text(1, name).bytes(2, message{}.bytes(1, message{}.varint(1, elem).bytes(2, shape)))
}

// quantize returns the rows as int8 and their scales as little-endian float32.
// A zero row stays exactly zero.
func quantize(rows [][]float32) (table, scale []byte) {
	for _, row := range rows {
		var top float64
		for _, v := range row {
			top = max(top, math.Abs(float64(v)))
		}
		step := top / 127
		for _, v := range row {
			var q int8
			if step > 0 {
				q = int8(math.Round(float64(v) / step))
			}
			table = append(table, byte(q))
		}
		scale = binary.LittleEndian.AppendUint32(scale, math.Float32bits(float32(step)))
	}
	return table, scale
}
