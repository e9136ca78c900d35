// The case of test_real_clients.py, told by fhir-kit-client: `node fhir_kit.mjs FOLDER JSON` prints what was seen.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

const [folder, given] = process.argv.slice(2);
const Client = createRequire(`${folder}/package.json`)('fhir-kit-client');
const { base, endpoint, id: clientId, secret } = JSON.parse(given);

async function token() {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
    body: 'grant_type=client_credentials',
  });
  return (await answer.json()).access_token;
}

function observation(patient, number, more = {}) {
  return {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '9279-1' }] },
    subject: { reference: `Patient/${patient}` },
    effectiveDateTime: `2026-03-0${number}`,
    valueInteger: number,
    ...more,
  };
}

function twoLinked(patient) {
  const urls = [randomUUID(), randomUUID()].map((each) => `urn:uuid:${each}`);
  const resources = [observation(patient, 6), observation(patient, 7, { hasMember: [{ reference: urls[0] }] })];
  const entry = resources.map((resource, at) => (
    { fullUrl: urls[at], resource, request: { method: 'POST', url: 'Observation' } }));
  return { resourceType: 'Bundle', type: 'transaction', entry };
}

async function refusal(asked) {
  try {
    await asked();
  } catch (error) {
    return [error.response.status, error.response.data];
  }
  throw new Error('this should have been refused');
}

async function tell(client) {
  const seen = {};
  const body = { resourceType: 'Patient', name: [{ family: 'Peeters' }] };
  const created = await client.create({ resourceType: 'Patient', body });
  const { id } = created;
  seen.created = created.meta.versionId;
  const read = await client.read({ resourceType: 'Patient', id });
  seen.read = read.name[0].family;
  const changed = { ...read, birthDate: '1961-04-05' };
  const headers = { 'If-Match': 'W/"1"' };
  const updated = await client.update({ resourceType: 'Patient', id, body: changed, options: { headers } });
  seen.updated = updated.meta.versionId;
  const late = { ...changed, birthDate: '1961-04-06' };
  [seen.stale] = await refusal(() => client.update({ resourceType: 'Patient', id, body: late, options: { headers } }));
  for (let number = 1; number <= 5; number += 1) {
    await client.create({ resourceType: 'Observation', body: observation(id, number) });
  }
  seen.pages = [];
  const searchParams = { patient: id, _sort: 'date', _count: '2' };
  let page = await client.search({ resourceType: 'Observation', searchParams });
  while (page) {
    seen.pages.push(page.entry.map((each) => each.resource.valueInteger));
    page = await client.nextPage({ bundle: page });
  }
  const { entry } = await client.transaction({ body: twoLinked(id) });
  seen.transaction = entry.map((each) => each.response.status.slice(0, 3));
  const [first, second] = entry.map((each) => each.response.location.split('/_history/')[0].split('/').pop());
  const linked = await client.read({ resourceType: 'Observation', id: second });
  seen.linked = linked.hasMember[0].reference === `Observation/${first}`;
  const history = await client.history({ resourceType: 'Patient', id });
  seen.history = history.entry.map((each) => each.resource.meta.versionId);
  const everything = await client.operation({ name: 'everything', resourceType: 'Patient', id, method: 'GET' });
  const count = (name) => everything.entry.filter((each) => each.resource.resourceType === name).length;
  seen.everything = { Patient: count('Patient'), Observation: count('Observation') };
  const [absent, outcome] = await refusal(() => client.read({ resourceType: 'Patient', id: 'nobody' }));
  seen.absent = [absent, outcome.issue[0].code];
  const unknown = { resourceType: 'Patient', searchParams: { colour: 'red' } };
  const [status, told] = await refusal(() => client.search(unknown));
  seen.unknown = [status, told.issue[0].diagnostics.includes('birthdate')];
  return seen;
}

const client = new Client({ baseUrl: base, bearerToken: await token() });
console.log(JSON.stringify(await tell(client)));
