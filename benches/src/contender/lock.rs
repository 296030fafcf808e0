//! The four locks that people put around a structure, as one trait.

/// A lock around a value.
pub trait Lock<T>: Send + Sync + 'static {
    /// Around this value.
    fn around(value: T) -> Self;
    /// Shared, where the lock can be.
    fn reading<R>(&self, work: impl FnOnce(&T) -> R) -> R;
    /// Exclusive.
    fn writing<R>(&self, work: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send + 'static> Lock<T> for parking_lot::Mutex<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn reading<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        work(&self.lock())
    }

    fn writing<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock())
    }
}

impl<T: Send + Sync + 'static> Lock<T> for parking_lot::RwLock<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn reading<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        work(&self.read())
    }

    fn writing<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.write())
    }
}

impl<T: Send + 'static> Lock<T> for std::sync::Mutex<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn reading<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        work(&self.lock().expect("nobody panics in a benchmark"))
    }

    fn writing<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.lock().expect("nobody panics in a benchmark"))
    }
}

impl<T: Send + Sync + 'static> Lock<T> for std::sync::RwLock<T> {
    fn around(value: T) -> Self {
        Self::new(value)
    }

    fn reading<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        work(&self.read().expect("nobody panics in a benchmark"))
    }

    fn writing<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.write().expect("nobody panics in a benchmark"))
    }
}
