//! One call of `linear`.

use crate::backend::Backend;
use crate::backend::element_type::ElementType;
use crate::backend::params::LinearParams;
use crate::backend::quantized::GROUP;
use crate::error::Result;

/// Rows of x, and the weight that they are multiplied by.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rows of x.
    pub num_rows: u32,
    /// Columns of x and of the weight.
    pub in_features: u32,
    /// Rows of the weight.
    pub out_features: u32,
}

impl Shape {
    /// The weight once, x and the output once.
    pub fn bytes(&self, weight_bytes: u64) -> f64 {
        let words = f64::from(self.num_rows) * (f64::from(self.in_features) + f64::from(self.out_features));
        weight_bytes as f64 + 4.0 * words
    }

    /// A multiplication and an addition for each weight and row.
    pub fn flop(&self) -> f64 {
        2.0 * f64::from(self.in_features) * f64::from(self.out_features) * f64::from(self.num_rows)
    }
}

/// An element of the weight: a whole number that the type holds. The first of a group is the largest, so that the scales
/// of quantized types are 1.
fn weight_at(place: usize, cols: usize, elements: ElementType) -> i64 {
    match (place % cols % GROUP, elements) {
        (0, ElementType::Int8) => 127,
        (0, ElementType::Int4) => -8,
        _ => (place % 7) as i64 - 3,
    }
}

/// A weight on a backend.
///
/// # Errors
/// [`crate::Error::Device`] if the device has no memory for it.
pub fn weight<B: Backend>(backend: &mut B, [rows, cols]: [u32; 2], elements: ElementType) -> Result<B::Matrix> {
    let (rows, cols) = (rows as usize, cols as usize);
    let mut weight = backend.alloc_matrix("weight", rows, cols, elements)?;
    let values: Vec<f32> = (0..rows * cols).map(|place| weight_at(place, cols, elements) as f32).collect();
    backend.upload_rows(&mut weight, 0, &values);
    Ok(weight)
}

/// A call that is ready to be recorded again and again.
pub struct Workload<'a, B: Backend> {
    shape: Shape,
    elements: ElementType,
    weight: &'a B::Matrix,
    x: B::Buffer,
    out: B::Buffer,
}

impl<'a, B: Backend> Workload<'a, B> {
    /// With this [`weight`] of such elements.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has no memory for it.
    pub fn new(backend: &mut B, shape: Shape, elements: ElementType, weight: &'a B::Matrix) -> Result<Self> {
        let [x, out] = [shape.in_features, shape.out_features].map(|width| shape.num_rows as usize * width as usize);
        // First the device may refuse.
        let mut buffer = backend.alloc("x", x)?;
        let values: Vec<f32> = (0..x).map(|i| (i % 5) as f32 - 2.0).collect();
        backend.upload(&mut buffer, 0, bytemuck::cast_slice(&values));
        let x = buffer;
        Ok(Self { shape, elements, weight, x, out: backend.alloc("out", out)? })
    }

    /// Records the call.
    pub fn record(&mut self, backend: &mut B) {
        let Shape { num_rows, in_features, out_features } = self.shape;
        let p =
            LinearParams { num_rows, in_features, out_features, num_out: out_features, ..bytemuck::Zeroable::zeroed() };
        backend.linear(p, &self.x, self.weight, None, &mut self.out);
    }

    /// Where the output differs from what whole numbers give: a message. All sums are whole numbers that f32 holds.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost.
    pub async fn difference(&self, backend: &mut B) -> Result<Option<String>> {
        let Shape { num_rows, in_features, out_features } = self.shape;
        let (rows, cols, outs) = (num_rows as usize, in_features as usize, out_features as usize);
        let words = backend.download(&self.out, rows * outs).await?;
        // A sample of places all over, since a sum takes as long as the kernel's own. The factor is a prime.
        let places = (0..500).map(|i| i * 2_654_435_761 % (rows * outs)).chain([rows * outs - 1]);
        for place in places {
            let (row, out) = (place / outs, place % outs);
            let x_at = |i| ((row * cols + i) % 5) as i64 - 2;
            let sum: i64 = (0..cols).map(|i| x_at(i) * weight_at(out * cols + i, cols, self.elements)).sum();
            let got = f32::from_bits(words[place]);
            if got != sum as f32 {
                return Ok(Some(format!("row {row}, column {out} is {got} and should be {sum}")));
            }
        }
        Ok(None)
    }
}
