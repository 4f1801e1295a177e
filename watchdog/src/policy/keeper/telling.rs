//! The incident, and what is told of it and looked up for it.

use super::{
    Decision, Desk, Incident, IncidentEnd, IncidentId, Keeper, Look, Mono, Order, OrderId, Question, Tell,
};

impl Keeper {
    pub(super) fn open(&mut self, desk: &mut Desk<'_>, at: Mono) -> IncidentId {
        let ids = &mut *desk.ids;
        let incident = self.incident.get_or_insert_with(|| {
            ids.incident += 1;
            Incident::new(IncidentId { run: ids.run, number: ids.incident }, at)
        });
        incident.id
    }

    pub(super) fn step(&mut self, at: Mono, what: impl Into<String>) {
        if let Some(incident) = &mut self.incident {
            incident.step(at, what);
        }
    }

    pub(super) fn end_incident(&mut self, desk: &mut Desk<'_>, end: IncidentEnd) {
        if let Some(incident) = self.incident.take() {
            let id = incident.id;
            let story = Box::new(incident.end(desk.now, end));
            self.tell(desk, Some(id), Decision::End(story));
        }
    }

    pub(super) fn alert(&mut self, desk: &mut Desk<'_>, what: String) {
        let incident = self.incident.as_ref().map(|incident| incident.id);
        self.tell(desk, incident, Decision::Alert { what });
    }

    pub(super) fn tell(&mut self, desk: &mut Desk<'_>, incident: Option<IncidentId>, decision: Decision) {
        if let (Some(open), Decision::Act { .. } | Decision::Hold { .. }) = (&mut self.incident, &decision) {
            open.told = true;
        }
        desk.orders.push(Order::Tell(Tell {
            service: self.service.clone(),
            unit: self.guard.unit.clone(),
            incarnation: self.incarnation,
            incident,
            at: desk.now,
            decision,
        }));
    }

    pub(super) fn look(&self, desk: &mut Desk<'_>, question: Question) -> OrderId {
        let id = desk.ids.order();
        let (service, unit) = (self.service.clone(), self.guard.unit.clone());
        desk.orders.push(Order::Look(Look { id, service, unit, question }));
        id
    }
}
